package core

// minTime and maxTime are the first and the last second that RFC 3339 can
// write: 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const (
	minTime = -62167219200
	maxTime = 253402300799
)

const secondsPerDay = 86400

// timestampForm is RFC 3339, UTC, whole seconds: digits where this has zeroes.
const timestampForm = "0000-00-00T00:00:00Z"

// The calendar is computed here because package time would take 0.2 MB of the
// module. Years begin in March, so that the leap day comes last: day n of such
// a year is in month (5n+2)/153, and month m begins with day (153m+2)/5. A cycle
// of 400 years has 146097 days. Day 0 is 0000-03-01, 719468 days before the
// Unix epoch. A test compares every day with package time.

func formatTimestamp(unix int64) (string, error) {
	if unix < minTime || unix > maxTime {
		return "", fail(CodeInvalidTime, "the time is not between the years 0 and 9999")
	}
	second := (unix - minTime) % secondsPerDay
	day := (unix-second)/secondsPerDay + 719468
	cycle := (day + 146097) / 146097 // counted from 1, for day can be -60
	day -= (cycle - 1) * 146097
	year := (day - day/1460 + day/36524 - day/146096) / 365
	day -= 365*year + year/4 - year/100
	month := (5*day + 2) / 153
	day -= (153*month + 2) / 5
	year += (cycle - 1) * 400
	if month += 3; month > 12 {
		month -= 12
		year++
	}
	b := []byte(timestampForm)
	put := func(end int, n int64) {
		for i := end; n > 0; i-- {
			b[i] += byte(n % 10)
			n /= 10
		}
	}
	put(3, year)
	put(6, month)
	put(9, day+1)
	put(12, second/3600)
	put(15, second/60%60)
	put(18, second%60)
	return string(b), nil
}

func parseTimestamp(s string) (unix int64, err error) {
	invalid := fail(CodeInvalidTime, "the timestamp is not RFC 3339 in UTC with whole seconds, such as 2026-11-24T15:16:08Z")
	if len(s) != len(timestampForm) {
		return 0, invalid
	}
	get := func(from, to int) (n int64) {
		for i := from; i <= to; i++ {
			n = n*10 + int64(s[i]-'0')
		}
		return n
	}
	for i := range len(s) {
		if digit := '0' <= s[i] && s[i] <= '9'; digit != (timestampForm[i] == '0') || !digit && s[i] != timestampForm[i] {
			return 0, invalid
		}
	}
	year, month, day := get(0, 3), get(5, 6), get(8, 9)
	hour, minute, second := get(11, 12), get(14, 15), get(17, 18)
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return 0, invalid
	}
	if month -= 3; month < 0 {
		month += 12
		year--
	}
	days := 365*year + (year+400)/4 - (year+400)/100 + (year+400)/400 - 97 + (153*month+2)/5 + day - 1 - 719468
	unix = days*secondsPerDay + hour*3600 + minute*60 + second
	// A day that its month does not have has become another.
	if canonical, err := formatTimestamp(unix); err != nil || canonical != s {
		return 0, invalid
	}
	return unix, nil
}

// checkSkew refuses a timestamp further than skew seconds from now.
func checkSkew(timestamp, now, skew int64) error {
	if skew < 0 || skew > maxTime {
		return fail(CodeInvalidSkew, "the clock skew is negative or absurdly large")
	}
	if now < minTime || now > maxTime {
		return fail(CodeInvalidTime, "the time is not between the years 0 and 9999")
	}
	if timestamp < now-skew {
		return fail(CodeTimestampSkew, "the timestamp is too old")
	}
	if timestamp > now+skew {
		return fail(CodeTimestampSkew, "the timestamp is in the future")
	}
	return nil
}
