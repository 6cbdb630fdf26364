package codec

import "errors"

// Why an entry can't be used. All of them are misses; Reason names them for metrics.
var (
	// ErrVersion is an entry of another format, as while a fleet is upgraded.
	ErrVersion = errors.New("entry has another format version")
	// ErrUnknownKey is an entry sealed with a key that is not configured, as after a rotation.
	ErrUnknownKey = errors.New("entry is sealed with an unknown key")
	// ErrAuthentication is a sealed entry that was edited or belongs to another cache key: an alarm.
	ErrAuthentication = errors.New("entry fails its authentication")
	// ErrChecksum is an entry without a seal whose checksum is wrong: damaged, or of another cache key.
	ErrChecksum = errors.New("entry fails its checksum")
	// ErrNotSealed is an entry without a seal where keys are configured: of a proxy without keys, or an alarm.
	ErrNotSealed = errors.New("entry is not sealed")
	// ErrMalformed is an entry that is cut off or makes no sense.
	ErrMalformed = errors.New("entry is malformed")
	// ErrTooLarge is an entry of more than Options.MaxEntry bytes.
	ErrTooLarge = errors.New("entry is too large")
	// ErrUnstorable is an Item that has no place in a store: its TTL is below a millisecond.
	ErrUnstorable = errors.New("item lives for less than a millisecond")
)

// Reason returns the word for an error of Encode or Decode in metrics; "other" for errors of anybody else, "" for nil.
func Reason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrVersion):
		return "version"
	case errors.Is(err, ErrUnknownKey):
		return "unknown_key"
	case errors.Is(err, ErrAuthentication):
		return "authentication"
	case errors.Is(err, ErrChecksum):
		return "checksum"
	case errors.Is(err, ErrNotSealed):
		return "not_sealed"
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	case errors.Is(err, ErrUnstorable):
		return "unstorable"
	}
	return "other"
}
