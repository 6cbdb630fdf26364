package parser

import "strings"

const directivePrefix = "pgrecall:"

// readDirective adds what the body of a comment rules to d: "pgrecall:" and then words, separated by white
// space or commas, of which "off" and "ttl=..." mean something. Other comments and words rule nothing.
func readDirective[T string | []byte](d *Directive, body T) {
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

// merge adds what a later comment rules.
func (d *Directive) merge(later Directive) {
	d.Off = d.Off || later.Off
	if later.TTL != "" {
		d.TTL = later.TTL
	}
}
