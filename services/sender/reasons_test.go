package sender

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/events"
)

// Every reason, state and would of the code is in the contract.
func TestReasonsAreInTheContract(t *testing.T) {
	code, err := os.ReadFile("window/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	contract, err := os.ReadFile("../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	words := append(events.States(), events.Woulds()...)
	found := regexp.MustCompile(`Reason\w+ +Reason = "(\w+)"`).FindAllSubmatch(code, -1)
	if len(found) < 30 {
		t.Fatalf("found %d reasons", len(found))
	}
	for _, m := range found {
		words = append(words, string(m[1]))
	}
	for _, w := range words {
		if w != "duplicate" && !strings.Contains(string(contract), "`"+w+"`") { // it is told as confirmed_by
			t.Errorf("%s is not in docs/contract.md", w)
		}
	}
}
