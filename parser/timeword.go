package parser

// letterKind tells letters apart for TimeWord: 0 is no letter, 1 any letter, 2 one that a time word begins with.
type letterKind uint8

var letters = letterTable()

func letterTable() (t [256]letterKind) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = 1, 1
	}
	for _, c := range []byte("ntyNTY") {
		t[c] = 2
	}
	return t
}

// TimeWord tells whether a text value holds now, today, tomorrow or yesterday as a word, whatever its case.
// Anything but an ASCII letter delimits a word. Such a value, read as a date or time, means another moment
// at each execution (PostgreSQL manual, section 8.5.1.4).
func TimeWord(value []byte) bool { return timeWord(value) }

func timeWord[T string | []byte](value T) bool {
	for i := 0; i < len(value); i++ {
		kind := letters[value[i]]
		if kind == 0 {
			continue
		}
		start := i
		for i++; i < len(value) && letters[value[i]] != 0; i++ {
		}
		if kind == 2 && isTimeWord(value[start:i]) {
			return true
		}
	}
	return false
}

func isTimeWord[T string | []byte](word T) bool {
	switch len(word) {
	case 3:
		return equalFold(word, "now")
	case 5:
		return equalFold(word, "today")
	case 8:
		return equalFold(word, "tomorrow")
	case 9:
		return equalFold(word, "yesterday")
	}
	return false
}

// equalFold compares ASCII letters of the same number.
func equalFold[T string | []byte](word T, lower string) bool {
	for i := range lower {
		if word[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}
