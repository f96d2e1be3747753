package main

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// A number of a caller's credential becomes a claim only if every reader gets the
// same number. Most JSON readers, Tyk's and those of workloads among them, hold a
// number in an IEEE 754 double. Two identifiers that differ in a digit that a
// double drops would be one there, and perhaps a third one (RFC 8259 section 6,
// RFC 7493 section 2.2).
var (
	errTooLarge  = errors.New("an integer of 2^53 or more, which JSON readers round: have the provider write it as a text, or map it with `as: text`")
	errImprecise = errors.New("a number with more digits than a double holds: have the provider write it as a text")
	errExponent  = errors.New("a number with an exponent, or minus zero: want plain digits")
	errNoNumber  = errors.New("not a finite number")
)

// exactIntegers end below this bound: each integer up to it has a double of its own.
const exactIntegers = 1 << 53

// exactNumber gives an int64 or float64 that stands for the number and no other.
// ok is false where the value is no number.
//
// The digits of a [json.Number] are the caller's own. A Go number has lost them:
// a fraction is taken up to 15 significant digits, which always survive a double.
func exactNumber(value any) (number any, ok bool, err error) {
	if digits, is := value.(json.Number); is {
		number, err = fromDigits(digits.String())
		return number, true, err
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		number, err = exactInteger(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		number, err = exactInteger(int64(min(v.Uint(), exactIntegers)))
	case reflect.Float32:
		number, err = fromFloat(v.Float(), 32, 6)
	case reflect.Float64:
		number, err = fromFloat(v.Float(), 64, 15)
	default:
		return nil, false, nil
	}
	return number, true, err
}

func exactInteger(n int64) (any, error) {
	if n <= -exactIntegers || n >= exactIntegers {
		return nil, errTooLarge
	}
	return n, nil
}

// fromDigits reads a JSON number as it is written.
func fromDigits(digits string) (any, error) {
	plain, err := plainDigits(digits)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(plain, ".") {
		n, err := strconv.ParseInt(plain, 10, 64)
		if err != nil {
			return nil, errTooLarge
		}
		return exactInteger(n)
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || strconv.FormatFloat(f, 'f', -1, 64) != plain {
		return nil, errImprecise
	}
	return f, nil
}

// plainDigits writes a JSON number without the zeros that end a fraction: 1.50 is
// 1.5, and 2.0 is 2.
func plainDigits(digits string) (string, error) {
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

// fromFloat reads a number whose digits are lost. precise is how many significant
// digits a float of this size always keeps.
func fromFloat(f float64, bits, precise int) (any, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, errNoNumber
	case f == 0 && math.Signbit(f):
		return nil, errExponent
	case f == math.Trunc(f) && math.Abs(f) >= exactIntegers, bits == 32 && f == math.Trunc(f) && math.Abs(f) >= 1<<24:
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
		return strconv.ParseFloat(shortest, 64) // the decimal that was meant, not the double beside it
	}
	return f, nil
}

// integerText writes an integer as a text of its own digits, however many there are.
func integerText(value any) (string, error) {
	if digits, is := value.(json.Number); is {
		plain, err := plainDigits(digits.String())
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
		return "", errors.New(kindName(value) + ": `as: text` takes integers")
	}
	if n, whole := number.(int64); whole {
		return strconv.FormatInt(n, 10), nil
	} else if err == nil {
		err = errors.New("a fraction: `as: text` takes integers")
	}
	return "", err
}

// kindName names the JSON kind of a value for people.
func kindName(value any) string {
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
