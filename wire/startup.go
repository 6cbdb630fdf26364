package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Codes of start-up packets (section "Message Formats", SSLRequest and others).
const (
	CodeCancel        = 80877102
	CodeSSL           = 80877103
	CodeGSSEncryption = 80877104
)

// MaxStartup is the longest start-up packet that PostgreSQL accepts (MAX_STARTUP_PACKET_LENGTH).
const MaxStartup = 10000

// Errors of start-up packets.
var (
	ErrStartupLength = errors.New("invalid length of startup packet")
	ErrStartupLayout = errors.New("invalid startup packet layout")
)

// Startup is the first packet of a connection.
type Startup struct {
	// Raw is the packet as it was received, its length included.
	Raw []byte
	// Code is the protocol version or one of the codes above.
	Code uint32
	// Parameters of a StartupMessage in their order; names may repeat, the last one counts.
	Parameters []Parameter
}

// Parameter is a name and a value of a StartupMessage.
type Parameter struct{ Name, Value string }

// ReadStartup reads one start-up packet. An EOF before its first byte is io.EOF.
func ReadStartup(r io.Reader) (*Startup, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < 8 || n > MaxStartup {
		return nil, ErrStartupLength
	}
	raw := make([]byte, n)
	copy(raw, head[:4])
	if _, err := io.ReadFull(r, raw[4:]); err != nil {
		return nil, fmt.Errorf("incomplete startup packet: %w", err)
	}
	s := &Startup{Raw: raw, Code: binary.BigEndian.Uint32(raw[4:8])}
	if s.Major() != 3 {
		return s, nil
	}
	scan := Scan(raw[8:])
	for {
		name := scan.String()
		if !scan.Ok() {
			return nil, ErrStartupLayout
		}
		if len(name) == 0 {
			if len(scan.Rest()) != 0 {
				return nil, ErrStartupLayout
			}
			return s, nil
		}
		value := scan.String()
		if !scan.Ok() {
			return nil, ErrStartupLayout
		}
		s.Parameters = append(s.Parameters, Parameter{string(name), string(value)})
	}
}

// Major is the protocol's major version.
func (s *Startup) Major() uint32 { return s.Code >> 16 }

// Parameter returns the value of a parameter, "" when it is not given.
func (s *Startup) Parameter(name string) string {
	for i := len(s.Parameters) - 1; i >= 0; i-- {
		if s.Parameters[i].Name == name {
			return s.Parameters[i].Value
		}
	}
	return ""
}

// Replication tells what kind of walsender the client asks for: none, "physical" or "database" (section "Streaming
// Replication Protocol").
func (s *Startup) Replication() string {
	switch v := strings.ToLower(s.Parameter("replication")); v {
	case "", "false", "off", "no", "0", "f", "n":
		return ""
	case "database":
		return "database"
	default:
		return "physical"
	}
}

// With returns a StartupMessage of the same version with other parameters. The protocol's own options ("_pq_.") are kept, since the
// server's answer to them is the client's, and so is the application's name.
func (s *Startup) With(parameters ...Parameter) []byte {
	raw := make([]byte, 8, 256)
	for _, p := range s.Parameters {
		if strings.HasPrefix(p.Name, "_pq_.") || p.Name == "application_name" {
			raw = AppendString(AppendString(raw, p.Name), p.Value)
		}
	}
	for _, p := range parameters {
		raw = AppendString(AppendString(raw, p.Name), p.Value)
	}
	raw = append(raw, 0)
	binary.BigEndian.PutUint32(raw, uint32(len(raw)))
	binary.BigEndian.PutUint32(raw[4:], s.Code)
	return raw
}
