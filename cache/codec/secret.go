package codec

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// Secret is a key that seals entries. However it is printed, only its id shows; Line is the exception.
type Secret struct {
	ID  byte // in each entry that it sealed, in the clear
	Key [32]byte
}

// maxSecrets is the size in bytes of the longest text with keys: room for 256 with their comments.
const maxSecrets = 64 << 10

// Generate returns a new random key.
func Generate(id byte) Secret {
	s := Secret{ID: id}
	_, _ = rand.Read(s.Key[:]) // never fails: without random numbers the process ends
	return s
}

// Line returns the key as a line of a file of keys: id:base64. It is the only method that gives the key away.
func (s Secret) Line() string {
	return strconv.Itoa(int(s.ID)) + ":" + base64.StdEncoding.EncodeToString(s.Key[:])
}

// Format implements fmt.Formatter: every verb prints the id only.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, s.name()) } // a State keeps its errors

// MarshalText implements encoding.TextMarshaler, for JSON and YAML, with the id only.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.name()), nil }

// LogValue implements slog.LogValuer, with the id only.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.name()) }

func (s Secret) name() string { return "key " + strconv.Itoa(int(s.ID)) }

// LoadSecrets reads a file of keys; see ParseSecrets.
func LoadSecrets(path string) (secrets []Secret, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			secrets, err = nil, fmt.Errorf("keys: %w", closeErr)
		}
	}()
	text, err := io.ReadAll(io.LimitReader(f, maxSecrets+1))
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return ParseSecrets(path, string(text))
}

// ParseSecrets reads keys, one a line, as Line writes them: a number from 0 to 255, a colon, and 32 bytes in base64. The first seals. Empty
// lines and those that begin with # are skipped; for environment variables a comma ends a line, too. The name is the file's or the variable's. Errors say
// name:line: what, and hold nothing of the line.
func ParseSecrets(name, text string) ([]Secret, error) {
	if len(text) > maxSecrets {
		return nil, fmt.Errorf("%s: more than %d bytes", name, maxSecrets)
	}
	var secrets []Secret
	lines := map[byte]int{} // where each id was given
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		for field := range strings.SplitSeq(line, ",") {
			if field = strings.TrimSpace(field); field == "" {
				continue
			}
			s, err := parseSecret(field)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, number, err)
			}
			if first, found := lines[s.ID]; found {
				return nil, fmt.Errorf("%s:%d: id %d given twice, first in line %d", name, number, s.ID, first)
			}
			for _, other := range secrets {
				if other.Key == s.Key {
					return nil, fmt.Errorf("%s:%d: id %d is the same key as id %d in line %d", name, number, s.ID, other.ID, lines[other.ID])
				}
			}
			lines[s.ID] = number
			secrets = append(secrets, s)
		}
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%s: no key", name)
	}
	return secrets, nil
}

// parseSecret reads one id:base64. No error holds anything of the text: a mistake may put a key anywhere in it.
func parseSecret(text string) (s Secret, err error) {
	id, encoded, found := strings.Cut(text, ":")
	if !found {
		return s, errors.New("no colon: a key is written id:base64")
	}
	n, err := strconv.ParseUint(strings.TrimSpace(id), 10, 8)
	if err != nil {
		return s, errors.New("the id before the colon is no number from 0 to 255")
	}
	s.ID = byte(n)
	encoded = strings.TrimRight(strings.TrimSpace(encoded), "=")
	key, err := base64.RawStdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return s, errors.New("what follows the colon is not base64")
	}
	if len(key) != len(s.Key) {
		return s, fmt.Errorf("the key has %d bytes, want %d", len(key), len(s.Key))
	}
	copy(s.Key[:], key)
	if s.Key == [32]byte{} {
		return s, errors.New("the key is all zeros")
	}
	return s, nil
}
