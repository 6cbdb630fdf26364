package warm_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/warm"
)

func TestReadJSON(t *testing.T) {
	got, err := warm.Read("hot.json", []byte("\n{\"sql\": \"a\"}\n\n{\"sql\": \"b\", \"params\": [\"1\", null, 2.5, true, {\"base64\": \"AP8=\"}, \"\"]}\n"+
		"{\"queries\": [{\"sql\": \"c\", \"result_formats\": [1]},\n {\"sql\": \"d\", \"protocol\": \"extended\"}]}{\"queries\": []}"))
	if err != nil {
		t.Fatal(err)
	}
	want := []warm.Item{
		{Query: warm.Query{SQL: "a", Protocol: warm.Simple}, Place: "hot.json:2"},
		{Query: warm.Query{SQL: "b", Protocol: warm.Extended, Params: []warm.Param{warm.Param("1"), nil, warm.Param("2.5"), warm.Param("true"), {0, 255}, {}}}, Place: "hot.json:4"},
		{Query: warm.Query{SQL: "c", Protocol: warm.Extended, ResultFormats: []int16{1}}, Place: "hot.json[0]"},
		{Query: warm.Query{SQL: "d", Protocol: warm.Extended}, Place: "hot.json[1]"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	written, err := json.Marshal(want[1].Query)
	if err != nil {
		t.Fatal(err)
	}
	again, err := warm.Read("x", written)
	if err != nil || !reflect.DeepEqual(again[0].Query, want[1].Query) {
		t.Errorf("%s becomes %+v, %v", written, again, err)
	}
}

func TestReadDefects(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1;\nSELECT 'x":                     "f:2: the text ends in the middle of a literal, a name or a comment",
		"{\"sql\": \"a\"}\n{\"sqll\": 1}":          `f:2: json: unknown field "sqll"`,
		`{"params": [1]}`:                          "f:1: no sql",
		`{"sql": "a", "params": [[1]]}`:            `f:1: a parameter is a string, null or {"base64": "..."}`,
		`{"sql": "a", "params": [{"base": "AA"}]}`: `f:1: a parameter is a string, null or {"base64": "..."}`,
		`{"sql": "a", "protocol": "copy"}`:         `f:1: protocol "copy": want simple or extended`,
		`{"sql": "a", "protocol": "simple", "params": []}{"sql": "a", "protocol": "simple", "params": [1]}`: "f:1: a simple query has no parameters and formats",
		`{"sql": "a", "params": [1], "param_formats": [0,1]}`:                                               "f:1: 2 param_formats for 1 params",
		`{"sql": "a", "result_formats": [2]}`:                                                               "f:1: format 2: want 0 (text) or 1 (binary)",
		"{\"sql\": \"a\"}\nSELECT 1":                                                                        "f:2: invalid character 'S' looking for beginning of value",
	} {
		if _, err := warm.Read("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
