package jinja

import (
	"fmt"
	"strings"
	"time"
)

// strftime writes a time as C's strftime does in the C locale, with glibc's
// flags: %-d (no padding), %_d (blanks), %0e (zeros), %^a (capitals). The time
// has no zone, as Python's datetime.now().
// A flag that does not fit a directive does nothing.
func (m *machine) strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		// A lone % at the end stays.
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		start := i
		i++
		// Of several flags the last one counts.
		var flag byte
		for strings.IndexByte("-_0^#", format[i]) >= 0 && i+1 < len(format) {
			flag = format[i]
			i++
		}
		text, pad, width := timeField(format[i], t)
		// glibc prints what it does not know.
		if width < 0 { // not a directive: it stays
			b.WriteString(format[start : i+1])
			continue
		}
		// Padding and case are changed on the finished text of a field.
		switch flag {
		case '-':
			pad, width = 0, 0
		case '_':
			pad = ' '
		case '0':
			pad = '0'
		case '^':
			text = strings.ToUpper(text)
		// The other case: what is all capitals becomes small.
		case '#':
			if text == strings.ToUpper(text) {
				text = strings.ToLower(text)
			} else {
				text = strings.ToUpper(text)
			}
		}
		for n := len(text); n < width; n++ {
			b.WriteByte(pad)
		}
		b.WriteString(text)
		m.room(b.Len())
	}
	return b.String()
}

// timeField is one directive: its text without padding, and how to pad it. A
// negative width says that there is no such directive.
func timeField(c byte, t time.Time) (text string, pad byte, width int) {
	// num pads with zeros, blank with blanks, lay takes a layout of package time.
	num := func(n, width int) (string, byte, int) { return fmt.Sprint(n), '0', width }
	blank := func(n, width int) (string, byte, int) { return fmt.Sprint(n), ' ', width }
	lay := func(layout string) (string, byte, int) { return t.Format(layout), ' ', 0 }
	// Midnight and noon are 12.
	hour12 := (t.Hour()+11)%12 + 1
	// The first and the last days of a year may belong to a week of the other one.
	isoYear, isoWeek := t.ISOWeek()
	switch c {
	case 'a':
		return lay("Mon")
	case 'A':
		return lay("Monday")
	case 'b', 'h':
		return lay("Jan")
	case 'B':
		return lay("January")
	case 'c':
		return lay("Mon Jan _2 15:04:05 2006")
	case 'C':
		return num(t.Year()/100, 2)
	case 'd':
		return num(t.Day(), 2)
	case 'D', 'x':
		return lay("01/02/06")
	case 'e':
		return blank(t.Day(), 2)
	case 'f':
		return num(t.Nanosecond()/1000, 6)
	case 'F':
		return lay("2006-01-02")
	case 'g':
		return num(isoYear%100, 2)
	case 'G':
		return num(isoYear, 4)
	case 'H':
		return num(t.Hour(), 2)
	case 'I':
		return num(hour12, 2)
	case 'j':
		return num(t.YearDay(), 3)
	case 'k':
		return blank(t.Hour(), 2)
	case 'l':
		return blank(hour12, 2)
	case 'm':
		return num(int(t.Month()), 2)
	case 'M':
		return num(t.Minute(), 2)
	case 'n':
		return "\n", ' ', 0
	case 'p':
		return lay("PM")
	case 'P':
		return lay("pm")
	case 'r':
		return lay("03:04:05 PM")
	case 'R':
		return lay("15:04")
	case 's':
		return fmt.Sprint(t.Unix()), '0', 0
	case 'S':
		return num(t.Second(), 2)
	case 't':
		return "\t", ' ', 0
	case 'T', 'X':
		return lay("15:04:05")
	case 'u':
		return num((int(t.Weekday())+6)%7+1, 1)
	// Weeks from the first Sunday; days before it are week 0. %W is the same from Monday.
	case 'U':
		return num((t.YearDay()+6-int(t.Weekday()))/7, 2)
	case 'V':
		return num(isoWeek, 2)
	case 'w':
		return num(int(t.Weekday()), 1)
	case 'W':
		return num((t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2)
	case 'y':
		return num(t.Year()%100, 2)
	case 'Y':
		return fmt.Sprint(t.Year()), '0', 0
	// datetime.now() knows no zone.
	case 'z', 'Z':
		return "", ' ', 0
	case '%':
		return "%", ' ', 0
	}
	return "", 0, -1
}
