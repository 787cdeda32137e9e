package media

import (
	"strings"
	"unicode"
)

const (
	// HeaderType is the header of an object that has the type of its bytes.
	HeaderType = "Content-Type"
	// HeaderFilename is the header of an object that has the name of the file, cleaned; empty if it has none.
	HeaderFilename = "Kf-Filename"

	maxName = 200 // bytes
)

// Name keeps of a file name what can harm nobody: no path, no control character, not hidden, at most 200 bytes.
func Name(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.TrimLeft(name, ". ")
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[len(name)-maxName:], "") // the end says more: the extension
	}
	return name
}
