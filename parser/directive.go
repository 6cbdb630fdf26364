package parser

import "strings"

const directivePrefix = "pgrecall:"

// readDirective adds what the comment whose body is text[from:to] rules to d: "pgrecall:" and then words, separated by white
// space or commas, of which "off" and "ttl=..." mean something. Other comments and words rule nothing. It notes where a trace context stands.
func readDirective[T string | []byte](d *Directive, text T, from, to int) {
	body := text[from:to]
	if holdsTrace(body) {
		d.TraceAt, d.TraceEnd = uint32(from), uint32(to)
	}
	i := 0
	for i < len(body) && classes[body[i]] == classSpace {
		i++
	}
	if len(body)-i < len(directivePrefix) || body[i] != 'p' || string(body[i:i+len(directivePrefix)]) != directivePrefix {
		return
	}
	words := strings.FieldsFunc(string(body[i+len(directivePrefix):]), func(r rune) bool {
		return r == ',' || r < 0x80 && classes[r] == classSpace
	})
	for _, word := range words {
		if word == "off" {
			d.Off = true
		} else if ttl, found := strings.CutPrefix(word, "ttl="); found {
			d.TTL = ttl
		}
	}
}

// traceKey is the key of a trace context among those of a comment as sqlcommenter writes it: key='value', separated by commas.
const traceKey = "traceparent='"

// holdsTrace tells whether a comment has the key.
func holdsTrace[T string | []byte](body T) bool {
	for i := 0; i+len(traceKey) <= len(body); i++ {
		if body[i] == 't' && (i == 0 || body[i-1] == ',' || classes[body[i-1]] == classSpace) && string(body[i:i+len(traceKey)]) == traceKey {
			return true
		}
	}
	return false
}

// merge adds what a later comment rules.
func (d *Directive) merge(later Directive) {
	d.Off = d.Off || later.Off
	if later.TTL != "" {
		d.TTL = later.TTL
	}
	if later.TraceEnd != 0 {
		d.TraceAt, d.TraceEnd = later.TraceAt, later.TraceEnd
	}
}
