package service

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

// Unknown is a variable that nothing reads, and the one that was probably meant; empty if none is near.
type Unknown struct{ Name, Meant string }

// injected are names that Kubernetes gives every container of a namespace with a service called kf-….
var injected = regexp.MustCompile(`_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// UnknownVariables finds, among NAME=value pairs as of os.Environ, the names under prefix that are not in known.
func UnknownVariables(prefix string, environ, known []string) []Unknown {
	var found []Unknown
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, prefix+"_") || slices.Contains(known, name) || injected.MatchString(name) {
			continue
		}
		found = append(found, Unknown{name, nearest(name, known)})
	}
	slices.SortFunc(found, func(a, b Unknown) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// WarnUnknown logs what UnknownVariables finds, and no value.
func WarnUnknown(log zerolog.Logger, unknown []Unknown) {
	for _, u := range unknown {
		e := log.Warn().Str("variable", u.Name)
		if u.Meant != "" {
			e = e.Str("did_you_mean", u.Meant)
		}
		e.Msg("nothing reads this variable")
	}
}

// nearest is the known name with the fewest changes of a letter, if they are few.
func nearest(name string, known []string) string {
	best, least := "", len(name)/4+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
