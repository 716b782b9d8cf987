package safetensors

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A parser reads the JSON of a header. The grammar is fixed, so it needs neither
// recursion nor a general decoder; encoding/json would take duplicate names and turn
// what is not Unicode into U+FFFD.
type parser struct {
	text []byte
	at   int
}

// parse returns the tensors in the order of the header, unchecked.
func parse(text []byte) (*Header, error) {
	p := &parser{text: text}
	h := &Header{}
	if !utf8.Valid(text) {
		return nil, errors.New("the header is not UTF-8")
	}
	err := p.object(func(name string) error {
		if name == metadataKey {
			h.Metadata = map[string]string{}
			return p.object(func(key string) (err error) {
				h.Metadata[key], err = p.string()
				return err
			})
		}
		t, err := p.tensor(name)
		h.Tensors = append(h.Tensors, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(text) {
		return nil, p.errorf("the end")
	}
	return h, nil
}

func (p *parser) tensor(name string) (Tensor, error) {
	t := Tensor{Name: name}
	fields := 0
	err := p.object(func(field string) (err error) {
		fields++
		switch field {
		case "dtype":
			var s string
			s, err = p.string()
			t.DType = DType(s)
		case "shape":
			t.Shape = []int{}
			err = p.integers(math.MaxInt, func(v int64) { t.Shape = append(t.Shape, int(v)) })
		case "data_offsets":
			var offsets []int64
			err = p.integers(math.MaxInt64, func(v int64) { offsets = append(offsets, v) })
			if err == nil && (len(offsets) != 2 || offsets[0] > offsets[1]) {
				return fmt.Errorf("tensor %q has the data_offsets %d: want a beginning and an end", name, offsets)
			}
			if err == nil {
				t.Offset, t.Size = offsets[0], offsets[1]-offsets[0]
			}
		default:
			return fmt.Errorf("tensor %q has an unknown field %q", name, field)
		}
		return err
	})
	if err == nil && fields != 3 {
		err = fmt.Errorf("tensor %q has %d fields: want dtype, shape and data_offsets", name, fields)
	}
	return t, err
}

// object parses an object whose values value parses. No name may come twice.
func (p *parser) object(value func(name string) error) error {
	names := map[string]bool{}
	return p.list('{', '}', func() error {
		name, err := p.string()
		if err != nil {
			return err
		}
		if names[name] {
			return fmt.Errorf("the header has %q twice", name)
		}
		names[name] = true
		if !p.skip(':') {
			return p.errorf("a colon")
		}
		return value(name)
	})
}

// integers parses an array of integers from 0 to most.
func (p *parser) integers(most int64, add func(int64)) error {
	return p.list('[', ']', func() error {
		p.space()
		start := p.at
		for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
			p.at++
		}
		digits := string(p.text[start:p.at])
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || v > most || len(digits) > 1 && digits[0] == '0' {
			p.at = start
			return p.errorf(fmt.Sprintf("an integer from 0 to %d", most))
		}
		add(v)
		return nil
	})
}

// list parses elements, separated by commas, between two brackets.
func (p *parser) list(open, end byte, element func() error) error {
	if !p.skip(open) {
		return p.errorf(strconv.QuoteRune(rune(open)))
	}
	if p.skip(end) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if p.skip(end) {
			return nil
		}
		if !p.skip(',') {
			return p.errorf(fmt.Sprintf("a comma or %q", end))
		}
	}
}

// string parses a string. The text is UTF-8.
func (p *parser) string() (string, error) {
	if !p.skip('"') {
		return "", p.errorf("a string")
	}
	var s []byte
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return string(s), nil
		case c < 0x20:
			return "", p.errorf("an escaped control character")
		case c != '\\':
			s = append(s, c)
			p.at++
			continue
		}
		r, err := p.escape()
		if err != nil {
			return "", err
		}
		s = utf8.AppendRune(s, r)
	}
	return "", p.errorf("the end of a string")
}

// escapes are the characters that follow a backslash, and what they mean.
var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape parses a backslash and what belongs to it.
func (p *parser) escape() (rune, error) {
	if p.at+1 < len(p.text) {
		if r, ok := escapes[p.text[p.at+1]]; ok {
			p.at += 2
			return r, nil
		}
	}
	r, ok := p.unit()
	if !ok {
		return 0, p.errorf("an escape sequence of JSON")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	low, ok := p.unit()
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0, p.errorf("the second half of a surrogate pair before this")
	}
	return r, nil
}

// unit parses a \u and four hexadecimal digits.
func (p *parser) unit() (rune, bool) {
	if p.at+6 > len(p.text) || p.text[p.at] != '\\' || p.text[p.at+1] != 'u' {
		return 0, false
	}
	digits := p.text[p.at+2 : p.at+6]
	v, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil {
		return 0, false
	}
	p.at += 6
	return rune(v), true
}

// skip reports whether c comes next, white space aside, and passes it.
func (p *parser) skip(c byte) bool {
	p.space()
	if p.at >= len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) errorf(want string) error {
	return fmt.Errorf("the header is not as it should be at byte %d: want %s", p.at, want)
}
