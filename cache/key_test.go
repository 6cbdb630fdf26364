package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// parts are the inputs of one key, as a reader of its preimage finds them.
type parts struct {
	domain           domain
	scope, statement [32]byte
	first, second    string
}

var errPreimage = errors.New("not a preimage")

// decode reads a preimage back. That it can, for all inputs, shows that no two inputs share one.
func decode(b []byte) (p parts, err error) {
	digest := func(d *[32]byte) {
		if len(b) < 32 {
			err = errPreimage
			return
		}
		copy(d[:], b)
		b = b[32:]
	}
	part := func(s *string) {
		if len(b) < 8 || binary.BigEndian.Uint64(b) > uint64(len(b)-8) {
			err = errPreimage
			return
		}
		n := binary.BigEndian.Uint64(b)
		*s, b = string(b[8:8+n]), b[8+n:]
	}
	if len(b) == 0 {
		return p, errPreimage
	}
	p.domain, b = domain(b[0]), b[1:]
	switch p.domain {
	case domainSimple:
		digest(&p.scope)
		part(&p.first)
	case domainExtended:
		digest(&p.scope)
		digest(&p.statement)
		part(&p.first)
	case domainStatement:
		part(&p.first)
		part(&p.second)
	case domainDescription:
		digest(&p.scope)
		digest(&p.statement)
	default:
		return p, fmt.Errorf("domain %q: %w", p.domain, errPreimage)
	}
	if err == nil && len(b) != 0 {
		err = fmt.Errorf("%d bytes left: %w", len(b), errPreimage)
	}
	return p, err
}

// FuzzKey holds the properties of exact keys (DESIGN invariant 2): the preimage of every input
// reads back as that input, and inputs have equal keys only if they are equal.
func FuzzKey(f *testing.F) {
	f.Add([]byte("s"), []byte("d"), []byte("select 1"), []byte{}, []byte("select 2"), []byte{0, 0, 0, 23})
	f.Add([]byte("s"), []byte("d"), []byte("ab"), []byte("c"), []byte("a"), []byte("bc"))
	f.Add([]byte{}, []byte{}, []byte{}, []byte{}, []byte{0}, []byte{})
	f.Add([]byte{'E'}, []byte{'S'}, bytes.Repeat([]byte("x"), shortPreimage), []byte{}, []byte{}, bytes.Repeat([]byte{0}, 8))
	f.Fuzz(func(t *testing.T, scopeSeed, digestSeed, a1, a2, b1, b2 []byte) {
		var scope, statement [32]byte
		copy(scope[:], scopeSeed)
		copy(statement[:], digestSeed)
		type request struct {
			parts
			preimage []byte
			key      [32]byte
		}
		requests := func(first, second []byte) []request {
			one, two := string(first), string(second)
			return []request{
				{parts{domainSimple, scope, [32]byte{}, one, ""}, appendSimple(nil, &scope, first), SimpleKey(&scope, first)},
				{parts{domainExtended, scope, statement, one, ""}, appendExtended(nil, &scope, &statement, first), ExtendedKey(&scope, &statement, first)},
				{parts{domainExtended, statement, scope, two, ""}, appendExtended(nil, &statement, &scope, second), ExtendedKey(&statement, &scope, second)},
				{parts{domainStatement, [32]byte{}, [32]byte{}, one, two}, appendStatement(nil, first, second), StatementDigest(first, second)},
				{parts{domainDescription, scope, statement, "", ""}, appendDescription(nil, &scope, &statement), DescriptionKey(&scope, &statement)},
			}
		}
		all := append(requests(a1, a2), requests(b1, b2)...)
		for i, r := range all {
			got, err := decode(r.preimage)
			if err != nil || got != r.parts {
				t.Fatalf("preimage of %+v reads back as %+v, %v", r.parts, got, err)
			}
			for _, o := range all[:i] {
				if (r.key == o.key) != (r.parts == o.parts) {
					t.Fatalf("equal keys %v, equal inputs %v:\n%+v\n%+v", r.key == o.key, r.parts == o.parts, r.parts, o.parts)
				}
			}
		}
	})
}

// TestKeyIsStable holds the keys fixed: proxies of different builds share them through Redis.
func TestKeyIsStable(t *testing.T) {
	scope, statement := [32]byte{1}, [32]byte{2}
	got := []string{
		fmt.Sprintf("%x", SimpleKey(&scope, []byte("select 1"))),
		fmt.Sprintf("%x", ExtendedKey(&scope, &statement, []byte("tail"))),
		fmt.Sprintf("%x", StatementDigest([]byte("select $1"), []byte{0, 0, 0, 23})),
		fmt.Sprintf("%x", DescriptionKey(&scope, &statement)),
	}
	want := []string{
		"0358f5499361b36608462079e181d238d36540ab8f1e64905055e4a0cc0792f0",
		"352823c8d37f106665ce4b16a92bfc1bd810ae175e177afb497597436dc9ca1f",
		"80d6512399478ceb9db0897665ea4d9df299a3b41a08f1cced7c51c52868eef9",
		"a309dd522d4c78c811a948f49c691c00abba6f5c2171d48744b5dc3927baa358",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("keys changed:\n got %q\nwant %q", got, want)
	}
}
