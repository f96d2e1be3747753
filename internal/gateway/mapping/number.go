package mapping

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A number of a caller's credential becomes a claim only if every reader gets the same number. Most
// JSON readers, also Tyk's and those of workloads, keep a number in an IEEE 754 double. Two
// identifiers that differ only in a digit that a double drops would be equal there, and perhaps equal
// to a third one (RFC 8259 section 6, RFC 7493 section 2.2).
var (
	errTooLarge  = errors.New("an integer of 2^53 or more, which JSON readers round: have the provider write it as a text, or map it with `as: text`")
	errImprecise = errors.New("a number with more digits than a double holds: have the provider write it as a text")
	errExponent  = errors.New("a number with an exponent, or minus zero: want plain digits")
	errNotFinite = errors.New("not a finite number")
)

// maxExactInteger is the bound of integers that are read: each integer below it has a double of its
// own.
const maxExactInteger = 1 << 53

// exactNumber gives an int64 or float64 that represents this number and no other. ok is false if the
// value is no number.
//
// A [json.Number] has the caller's own digits. A Go number has lost them: a fraction is accepted with
// up to 15 significant digits, which a double always keeps.
func exactNumber(value any) (number any, ok bool, err error) {
	if digits, is := value.(json.Number); is {
		number, err = numberFromDigits(digits.String())
		return number, true, err
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		number, err = checkedInteger(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		number, err = checkedInteger(int64(min(v.Uint(), maxExactInteger)))
	case reflect.Float32:
		number, err = numberFromFloat(v.Float(), 32, 6)
	case reflect.Float64:
		number, err = numberFromFloat(v.Float(), 64, 15)
	default:
		return nil, false, nil
	}
	return number, true, err
}

func checkedInteger(n int64) (any, error) {
	if n <= -maxExactInteger || n >= maxExactInteger {
		return nil, errTooLarge
	}
	return n, nil
}

// numberFromDigits reads a JSON number as it is written.
func numberFromDigits(digits string) (any, error) {
	plain, err := trimFraction(digits)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(plain, ".") {
		n, err := strconv.ParseInt(plain, 10, 64)
		if err != nil {
			return nil, errTooLarge
		}
		return checkedInteger(n)
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || strconv.FormatFloat(f, 'f', -1, 64) != plain {
		return nil, errImprecise
	}
	return f, nil
}

// trimFraction writes a JSON number without the zeros that end a fraction: 1.50 becomes 1.5, and 2.0
// becomes 2.
func trimFraction(digits string) (string, error) {
	if strings.ContainsAny(digits, "eE") {
		return "", errExponent
	}
	if strings.Contains(digits, ".") {
		digits = strings.TrimRight(strings.TrimRight(digits, "0"), ".")
	}
	if digits == "-0" {
		return "", errExponent
	}
	return digits, nil
}

// numberFromFloat reads a number whose digits are lost. precise is the number of significant digits
// that a float of this size always keeps.
func numberFromFloat(f float64, bits, precise int) (any, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, errNotFinite
	case f == 0 && math.Signbit(f):
		return nil, errExponent
	case f == math.Trunc(f) && math.Abs(f) >= maxExactInteger, bits == 32 && f == math.Trunc(f) && math.Abs(f) >= 1<<24:
		return nil, errTooLarge
	case f == math.Trunc(f):
		return int64(f), nil
	}
	shortest := strconv.FormatFloat(f, 'e', -1, bits)
	mantissa, _, _ := strings.Cut(shortest, "e")
	if len(strings.TrimLeft(strings.Replace(mantissa, ".", "", 1), "-")) > precise {
		return nil, errImprecise
	}
	if bits == 32 {
		return strconv.ParseFloat(shortest, 64) // the shortest decimal of the 32 bits; the double of their value would have more digits
	}
	return f, nil
}

// integerText writes an integer as a text of its own digits, for any number of digits.
func integerText(value any) (string, error) {
	if digits, is := value.(json.Number); is {
		plain, err := trimFraction(digits.String())
		if err == nil && strings.Contains(plain, ".") {
			err = errors.New("a fraction: `as: text` takes integers")
		}
		return plain, err
	}
	if v := reflect.ValueOf(value); v.CanInt() {
		return strconv.FormatInt(v.Int(), 10), nil
	} else if v.CanUint() {
		return strconv.FormatUint(v.Uint(), 10), nil
	}
	number, ok, err := exactNumber(value)
	if !ok {
		return "", errors.New(KindName(value) + ": `as: text` takes integers")
	}
	if n, whole := number.(int64); whole {
		return strconv.FormatInt(n, 10), nil
	} else if err == nil {
		err = errors.New("a fraction: `as: text` takes integers")
	}
	return "", err
}

// KindName names the JSON kind of a value, for messages.
func KindName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any, []string:
		return "a list"
	case map[string]any:
		return "an object"
	}
	if _, number, _ := exactNumber(value); number {
		return "a number"
	}
	return "a value of another kind"
}

// NumericDate reads a time in the form of RFC 7519 section 2, from a [json.Number].
func NumericDate(value any) (time.Time, bool) {
	number, _ := value.(json.Number)
	seconds, err := number.Float64()
	if err != nil || seconds <= 0 || seconds >= maxExactInteger {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}
