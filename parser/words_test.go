package parser

import "testing"

// TestWordsInsideNamesAndTexts: words mean something at their place in the grammar only.
func TestWordsInsideNamesAndTexts(t *testing.T) {
	for _, text := range []string{
		"SELECT updated_at, deleted, insert_into, t.\"delete\", \"now()\" FROM t",
		"SELECT id FROM t /* now(); DELETE FROM u */ WHERE note = 'now(); UPDATE u SET x = 1' -- TRUNCATE u",
		"SELECT id FROM t WHERE a = E'\\'; DROP TABLE u' AND b = $x$ INSERT INTO u $x$ AND c = U&'for update'",
		"SELECT id AS current_date_, 1 AS \"random()\" FROM t WHERE note = 'current_timestamp' AND x = 'nowhere today_'",
	} {
		c := Analyze(text).Single()
		if c == nil || c.Kind != KindSelect || len(c.Writes) > 0 || len(c.Functions) > 0 || c.CurrentTime || c.Locking || len(c.Reads) != 1 || c.Reads[0].Name != "t" {
			t.Errorf("%s\n\t%+v", text, c)
		}
	}
	for _, text := range []string{"/* SELECT 1 FROM t */ UPDATE u SET a = 'select'", "WITH t AS (DELETE FROM u RETURNING 'select') SELECT 1 FROM t"} {
		c := Analyze(text).Single()
		if c == nil || c.Kind != KindWrite || len(c.Writes) != 1 || c.Writes[0].Name != "u" {
			t.Errorf("%s\n\t%+v", text, c)
		}
	}
}
