package observe_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/pgrecall/pgrecall/proxy/observe"
)

const (
	traceID = "5bd66ef5095369c7b0d1f8f4bd33716a"
	spanID  = "c532cb4098ac3dd2"
	parent  = "00-" + traceID + "-" + spanID + "-01"
)

// TestParseComment: examples of the specification of sqlcommenter, and what must not be taken for a trace context.
func TestParseComment(t *testing.T) {
	for _, test := range []struct {
		body    string
		valid   bool
		sampled bool
		state   string
	}{
		{"traceparent='" + parent + "'", true, true, ""},
		{"action='%2Fparam*d',controller='index,'framework='spring',traceparent='" + parent + "',tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'", true, true, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"},
		{" route='\\'quoted\\',traceparent=', traceparent='" + parent + "' ", true, true, ""},
		{"tracestate='a%3D1',traceparent='00-" + traceID + "-" + spanID + "-00'", true, false, ""},
		{"traceparent='00%2D" + traceID + "%2D" + spanID + "%2D01'", true, true, ""},
		{"traceparent='cc-" + traceID + "-" + spanID + "-01-what-the-future-will-be'", true, true, ""},
		{"traceparent='" + parent + "',tracestate='" + strings.Repeat("a", 600) + "'", true, true, ""},
		{"traceparent='" + parent + "',tracestate='a%00b'", true, true, ""},

		{"", false, false, ""},
		{"route='traceparent=" + parent + "'", false, false, ""},
		{"traceparent=" + parent, false, false, ""},
		{"traceparent='" + parent, false, false, ""},
		{"traceparent='" + parent + "',traceparent='" + parent + "'", false, false, ""},
		{"xtraceparent='" + parent + "'", false, false, ""},
		{"traceparent='" + parent + "x'", false, false, ""},
		{"traceparent='" + parent + "-x'", false, false, ""},
		{"traceparent='ff-" + traceID + "-" + spanID + "-01'", false, false, ""},
		{"traceparent='00-" + strings.ToUpper(traceID) + "-" + spanID + "-01'", false, false, ""},
		{"traceparent='00-" + strings.Repeat("0", 32) + "-" + spanID + "-01'", false, false, ""},
		{"traceparent='00-" + traceID + "-" + strings.Repeat("0", 16) + "-01'", false, false, ""},
		{"traceparent='00-" + strings.Repeat("g", 32) + "-" + spanID + "-01'", false, false, ""},
		{"traceparent='%zz'", false, false, ""},
	} {
		c := observe.ParseComment([]byte(test.body))
		if c.Valid() != test.valid || c.Sampled != test.sampled || c.State != test.state || test.valid && (hex.EncodeToString(c.Trace[:]) != traceID || hex.EncodeToString(c.Span[:]) != spanID) {
			t.Errorf("%s: %+v", test.body, c)
		}
		if !test.valid && c != (observe.SpanContext{}) {
			t.Errorf("%s: %+v", test.body, c)
		}
	}
}

func FuzzParseComment(f *testing.F) {
	f.Add([]byte("traceparent='" + parent + "',tracestate='a%3D1'"))
	f.Add([]byte("a='\\',traceparent='%30"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := observe.ParseComment(body)
		if !c.Valid() {
			if c != (observe.SpanContext{}) {
				t.Errorf("%+v", c)
			}
			return
		}
		if len(c.State) > 512 {
			t.Error(len(c.State))
		}
		// What is taken is in the text.
		if text := strings.NewReplacer("%2D", "-", "%2d", "-").Replace(string(body)); !strings.Contains(text, "%") && !strings.Contains(text, hex.EncodeToString(c.Trace[:])+"-"+hex.EncodeToString(c.Span[:])) {
			t.Errorf("%q: %+v", body, c)
		}
	})
}
