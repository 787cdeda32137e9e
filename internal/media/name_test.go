package media

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"a.png": "a.png", "../../etc/passwd": "etcpasswd", "..": "", ".bashrc": "bashrc", "a\r\nb": "ab", "photo\u202egnp.exe": "photognp.exe",
		`C:\x.exe`: "Cx.exe", "": "", "\xff.txt": "txt", strings.Repeat("长", 100) + ".pdf": strings.Repeat("长", 65) + ".pdf",
	} {
		if got := Name(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
