package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// value is a value in a script: null, "text", {"hex": "00ff"} or {"repeat": "x", "count": 3}.
type value []byte

// UnmarshalJSON implements json.Unmarshaler.
func (v *value) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		*v = nil
		return nil
	}
	if text[0] == '"' {
		var s string
		err := json.Unmarshal(text, &s)
		*v = []byte(s)
		return err
	}
	var long struct {
		Hex, Repeat string
		Count       int
	}
	if err := strict(string(text), &long); err != nil {
		return err
	}
	if long.Count > 0 {
		*v = bytes.Repeat([]byte(long.Repeat), long.Count)
		return nil
	}
	decoded, err := hex.DecodeString(strings.ReplaceAll(long.Hex, " ", ""))
	*v = decoded
	return err
}

func bytesOf(values []value) [][]byte {
	result := make([][]byte, len(values))
	for i, v := range values {
		result[i] = v
	}
	return result
}

// strict unmarshals one JSON object and refuses keys that the target does not have.
func strict(text string, target any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// encode appends the message that a line of a send step describes: its protocol name and a
// JSON object with its fields (PostgreSQL's manual, section 55.7). The database is the one that
// a Startup message without a database asks for.
func encode(buffer []byte, line, database string) ([]byte, error) {
	name, object, _ := strings.Cut(strings.TrimSpace(line), " ")
	if strings.TrimSpace(object) == "" {
		object = "{}"
	}
	build, known := builders[name]
	if !known {
		return nil, fmt.Errorf("unknown message %q", name)
	}
	message, err := build(object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if startup, ok := message.(*pgproto3.StartupMessage); ok && startup.Parameters["database"] == "" {
		startup.Parameters["database"] = database
	}
	return message.Encode(buffer)
}

// encoder is a message that can be sent.
type encoder interface {
	Encode(buffer []byte) ([]byte, error)
}

// rawBytes are sent as they are.
type rawBytes []byte

// Encode implements encoder.
func (r rawBytes) Encode(buffer []byte) ([]byte, error) { return append(buffer, r...), nil }

// plain returns a builder for a message whose fields JSON fills by itself.
func plain[T any, P interface {
	*T
	encoder
}](object string) (encoder, error) {
	message := P(new(T))
	return message, strict(object, message)
}

// builders make messages from their JSON objects.
var builders = map[string]func(object string) (encoder, error){
	"Query":         plain[pgproto3.Query],
	"Parse":         plain[pgproto3.Parse],
	"Execute":       plain[pgproto3.Execute],
	"Flush":         plain[pgproto3.Flush],
	"Sync":          plain[pgproto3.Sync],
	"CopyDone":      plain[pgproto3.CopyDone],
	"CopyFail":      plain[pgproto3.CopyFail],
	"Terminate":     plain[pgproto3.Terminate],
	"SSLRequest":    plain[pgproto3.SSLRequest],
	"GSSENCRequest": plain[pgproto3.GSSEncRequest],
	"Bind":          buildBind,
	"Describe":      buildDescribe,
	"Close":         buildClose,
	"CopyData":      buildCopyData,
	"FunctionCall":  buildFunctionCall,
	"Startup":       buildStartup,
	"Raw":           buildRaw,
}

func buildBind(object string) (encoder, error) {
	var m struct {
		Portal, Statement string
		Formats           []int16
		Parameters        []value
		Results           []int16
	}
	err := strict(object, &m)
	return &pgproto3.Bind{
		DestinationPortal: m.Portal, PreparedStatement: m.Statement, ParameterFormatCodes: m.Formats,
		Parameters: bytesOf(m.Parameters), ResultFormatCodes: m.Results,
	}, err
}

// kind returns the byte that tells a statement from a portal.
func kind(statement, portal *string) (byte, string, error) {
	switch {
	case statement != nil && portal == nil:
		return 'S', *statement, nil
	case portal != nil && statement == nil:
		return 'P', *portal, nil
	}
	return 0, "", errors.New(`either "Statement" or "Portal"`)
}

func buildDescribe(object string) (encoder, error) {
	var m struct{ Statement, Portal *string }
	if err := strict(object, &m); err != nil {
		return nil, err
	}
	objectType, name, err := kind(m.Statement, m.Portal)
	return &pgproto3.Describe{ObjectType: objectType, Name: name}, err
}

func buildClose(object string) (encoder, error) {
	var m struct{ Statement, Portal *string }
	if err := strict(object, &m); err != nil {
		return nil, err
	}
	objectType, name, err := kind(m.Statement, m.Portal)
	return &pgproto3.Close{ObjectType: objectType, Name: name}, err
}

func buildCopyData(object string) (encoder, error) {
	var m struct{ Data value }
	err := strict(object, &m)
	return &pgproto3.CopyData{Data: m.Data}, err
}

func buildFunctionCall(object string) (encoder, error) {
	var m struct {
		Function  uint32
		Formats   []uint16
		Arguments []value
		Result    uint16
	}
	err := strict(object, &m)
	return &pgproto3.FunctionCall{
		Function: m.Function, ArgFormatCodes: m.Formats, Arguments: bytesOf(m.Arguments), ResultFormatCode: m.Result,
	}, err
}

// buildStartup makes a start-up packet of any version; 3.0 when none is given.
func buildStartup(object string) (encoder, error) {
	m := struct {
		Major, Minor uint32
		Parameters   map[string]string
	}{Major: 3, Parameters: map[string]string{}}
	err := strict(object, &m)
	return &pgproto3.StartupMessage{ProtocolVersion: m.Major<<16 | m.Minor, Parameters: m.Parameters}, err
}

// buildRaw sends bytes as they are, or, with a type, a message with these bytes.
func buildRaw(object string) (encoder, error) {
	var m struct {
		Type string
		Body value
	}
	if err := strict(object, &m); err != nil {
		return nil, err
	}
	if m.Type == "" {
		return rawBytes(m.Body), nil
	}
	if len(m.Type) != 1 {
		return nil, errors.New("a type is one byte")
	}
	length := len(m.Body) + 4
	header := []byte{m.Type[0], byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	return rawBytes(append(header, m.Body...)), nil
}
