package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTeamsOfTheEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "teams")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, file, err string
		env             senderEnv
		teams           int
	}{
		{"nothing", "", "", senderEnv{}, 0},
		{"a variable", "", "", senderEnv{Teams: "shop: accounts=*"}, 1},
		{"a file", "shop: accounts=*\ncrm: accounts=wkA\n", "", senderEnv{TeamsFile: file}, 2},
		{"both", "shop: accounts=*", "both set", senderEnv{Teams: "shop: accounts=*", TeamsFile: file}, 0},
		{"no such file", "", "cannot be read", senderEnv{TeamsFile: file + "x"}, 0},
		{"an empty file opens nothing", "# soon\n", "names no team", senderEnv{TeamsFile: file}, 0},
		{"a mistake in a file", "shop", "KF_TEAMS_FILE: teams, line 1", senderEnv{TeamsFile: file}, 0},
		{"a mistake in the variable", "", "KF_TEAMS: teams, line 1", senderEnv{Teams: "shop"}, 0},
	} {
		write(c.file)
		got, err := c.env.teams()
		if len(got) != c.teams || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %d teams, %v, want %d, %q", c.name, len(got), err, c.teams, c.err)
		}
	}
}
