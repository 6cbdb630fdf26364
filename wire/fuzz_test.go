package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func FuzzStartup(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x00\x00\x08\x04\xd2\x16\x2f", "\x00\x00\x00\x08\x04\xd2\x16\x30", "GET / HTTP/1.1\r\n\r\n",
		"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02",
		"\x00\x00\x00\x14\x00\x03\x00\x00user\x00jane\x00\x00\x00\x00", "\x00\x00\x00\x13\x00\x03\x00\x00user\x00jane\x00\x00",
		"\x00\x00\x00\x09\x00\x03\x00\x02\x00", "\x00\x00\x00\x08\x00\x04\x00\x00", "\x00\x00\x00\x08\x00\x03\x00\x00", "\xff\xff\xff\xff",
		"\x00\x00\x00\x20\x00\x03\x00\x00replication\x00Database\x00\x00\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		r := bytes.NewReader(input)
		s, err := ReadStartup(r)
		read := len(input) - r.Len()
		if err != nil {
			if len(input) == 0 && !errors.Is(err, io.EOF) {
				t.Errorf("nothing: %v", err)
			}
			if read > MaxStartup {
				t.Errorf("%d bytes read", read)
			}
			return
		}
		if !bytes.Equal(s.Raw, input[:read]) || read > MaxStartup || read < 8 {
			t.Errorf("packet of %d bytes, read %d of %q", len(s.Raw), read, input)
		}
		size := 9
		for _, p := range s.Parameters {
			size += len(p.Name) + len(p.Value) + 2
			if p.Name == "" {
				t.Error("a parameter without a name")
			}
			_ = s.Parameter(p.Name)
		}
		if s.Major() == 3 && size != read {
			t.Errorf("parameters of %d bytes in %d", size, read)
		}
		if kind := s.Replication(); kind != "" && kind != "database" && kind != "physical" {
			t.Errorf("replication %q", kind)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, seed := range []string{"", "Q", "Q\x00\x00\x00\x04", "Q\x00\x00\x00\x00", "Q\xff\xff\xff\xff", "S\x00\x00\x00\x04S\x00\x00\x00\x04"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, size, ok := Header(b)
		if ok != (len(b) >= HeaderSize) || ok && typ != b[0] || size < 0 || size > 1<<32 {
			t.Errorf("%q: %q %d %v", b, typ, size, ok)
		}
	})
}

// FuzzScanner reads fields as the first input says: what has been read and what is left make up the body, and nothing is read after
// a field that does not fit.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05"), []byte("name\x00\x01\x00\x02\x00\x00\x00\x03rest"))
	f.Add([]byte("\x03\x03"), []byte("\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x00"), []byte("not terminated"))
	f.Fuzz(func(t *testing.T, fields, body []byte) {
		scan := Scan(body)
		read := 0
		for _, field := range fields {
			switch field % 6 {
			case 0:
				v := scan.String()
				if bytes.IndexByte(v, 0) >= 0 {
					t.Errorf("string %q", v)
				}
				read += len(v) + 1
			case 1:
				scan.Byte()
				read++
			case 2:
				if n := scan.Int16(); n < 0 || n > 65535 {
					t.Errorf("int16 %d", n)
				}
				read += 2
			case 3:
				scan.Int32()
				read += 4
			case 4:
				n := int(field) - 100
				if v := scan.Bytes(n); scan.Ok() && len(v) != n {
					t.Errorf("%d of %d bytes", len(v), n)
				}
				read += n
			case 5:
				IsFatal(scan.Rest())
			}
			if !scan.Ok() {
				if len(scan.Rest()) != 0 || len(scan.String()) != 0 || scan.Int32() != 0 || scan.Ok() {
					t.Error("read on after a field that did not fit")
				}
				return
			}
			if !bytes.Equal(scan.Rest(), body[read:]) {
				t.Errorf("rest %q of %q after %d bytes", scan.Rest(), body, read)
			}
		}
	})
}

func TestErrorMessagesOfOurOwn(t *testing.T) {
	for _, c := range []struct {
		severity string
		fatal    bool
	}{{SeverityFatal, true}, {SeverityError, false}, {"PANIC", true}} {
		m := AppendError(nil, Fields{Severity: c.severity, Code: "08P01", Message: "m"})
		typ, size, ok := Header(m)
		if !ok || typ != ErrorResponse || size != len(m) {
			t.Errorf("%q", m)
		}
		if got := IsFatal(m[HeaderSize:]); got != c.fatal {
			t.Errorf("%s: fatal %v", c.severity, got)
		}
	}
	if m := AppendNotice(nil, Fields{Severity: SeverityNotice, Message: "m"}); m[0] != NoticeResponse {
		t.Errorf("%q", m)
	}
}

func TestTheLastParameterCounts(t *testing.T) {
	s, err := ReadStartup(bytes.NewReader([]byte("\x00\x00\x00\x17\x00\x03\x00\x00user\x00a\x00user\x00b\x00\x00")))
	if err != nil || s.Parameter("user") != "b" || s.Parameter("database") != "" {
		t.Errorf("%+v %v", s, err)
	}
}
