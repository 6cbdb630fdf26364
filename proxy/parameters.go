package proxy

import (
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/cachepolicy"
	"github.com/pgrecall/pgrecall/wire"
)

// startupMessage follows authentication and the messages before the first ReadyForQuery.
func (s *session) startupMessage(typ byte, message []byte) (swallow bool, replace []byte, err error) {
	b := &s.backend
	if message == nil {
		if typ == wire.ErrorResponse {
			b.saidFatal = true
		}
		return false, nil, nil
	}
	switch typ {
	case wire.Authentication:
		scan := wire.Scan(message[wire.HeaderSize:])
		switch scan.Int32() {
		case authenticationOK:
			if scan.Ok() {
				s.database = s.srv.database(s.databaseName)
				s.frontend.database = s.database
				close(s.authOK)
			}
		case authenticationSASL:
			if s.upstream.encrypted && !s.sharesCertificate() {
				return false, stripChannelBinding(message), nil
			}
		}
	case wire.BackendKeyData:
		s.registerCancelKey(message[wire.HeaderSize:])
	case wire.ErrorResponse:
		b.saidFatal = true
	case wire.ReadyForQuery:
		_ = s.client.SetDeadline(time.Time{})
		return s.readyForQuery(message), nil, nil
	}
	return false, nil, nil
}

// parameterStatus follows the two settings that decide how a text is read. Both are reported by the server when they change
// (section "Asynchronous Operations").
func (s *session) parameterStatus(message []byte) (setting string) {
	if message == nil {
		s.confuse(wire.ParameterStatus, "too long")
		return ""
	}
	scan := wire.Scan(message[wire.HeaderSize:])
	name, value := scan.String(), scan.String()
	switch string(name) {
	case "client_encoding":
		s.backend.encodingOK = decodableEncoding(string(value))
	case "standard_conforming_strings":
		s.backend.stringsOK = string(value) == "on"
	default:
		if string(name) == "application_name" && s.srv.Observer != nil {
			s.who.Store(s.newWho(string(value)))
		}
		return strings.ToLower(string(name))
	}
	s.decodable.Store(s.backend.encodingOK && s.backend.stringsOK)
	return string(name)
}

// expectedStatus tells whether a setting, in lower case, that the server reports is no news: no key holds it, or it is the one that the
// statement which is being answered sets.
func (s *session) expectedStatus(setting string) bool {
	if cachepolicy.SettingOutsideKeys(setting) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.backend.change
	if e := s.queue.front(); c == nil && e != nil && e.aside != nil {
		c = e.aside.change
	}
	return c != nil && c.setting == setting
}

func (s *session) registerCancelKey(body []byte) {
	scan := wire.Scan(body)
	s.backendPID = uint32(scan.Int32())
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.cancelKey = string(body)
	s.srv.cancelKeys[s.cancelKey] = s
}
