// SPDX-License-Identifier: Apache-2.0

//go:build !windows

package venv

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// says is a command that prints text, whatever it is asked.
func says(text string) string { return "#!/bin/sh\necho '" + text + "'\n" }

func TestFindPythonRefusesLoudly(t *testing.T) {
	const unfit = `{"executable": "/p", "version": [3, 11, 2], "platform": "linux", "venv": %t, "sqlite": %t}`
	names := map[string]string{ // so that the machine's own are not found
		"python3": "", "python3.9": "", "python3.10": "", "python3.11": "", "python3.12": "", "python3.13": "", "python3.14": "",
	}
	for _, tc := range []struct{ name, script, want string }{
		{"too old", says(`{"executable": "/p", "version": [3, 8, 1], "venv": true, "sqlite": true}`), "3.9 or newer is needed"},
		{"too new by far", says(`{"executable": "/p", "version": [4, 0, 0], "venv": true, "sqlite": true}`), "is Python 4.0.0"},
		{"Debian without venv", says(fmt.Sprintf(unfit, false, true)), "apt install python3-venv"},
		{"no sqlite", says(fmt.Sprintf(unfit, true, false)), "without sqlite3"},
		{"a stub", "#!/bin/sh\nexit 127\n", "does not run"},
		{"not a Python", says("hello"), "does not describe itself"},
		{"lost", says(`{"version": [3, 11, 2], "venv": true, "sqlite": true}`), "does not know where it is"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			commands := make(map[string]string)
			for name := range names {
				commands[name] = tc.script
			}
			fakeMachine(t, commands)
			_, err := testRecipe.Install(t.Context(), t.Logf)
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want ErrUnavailable with %q", err, tc.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		fakeMachine(t, nil)
		_, err := testRecipe.Install(t.Context(), t.Logf)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no python3 on PATH") {
			t.Errorf("got error %v, want ErrUnavailable that tells there is no python3", err)
		}
	})
}

func TestFindPythonTakesTheNextOne(t *testing.T) {
	good := strings.ReplaceAll(goodProbe, "%q", `"/good"`)
	fakeMachine(t, map[string]string{"python3": "#!/bin/sh\nexit 1\n", "python3.11": says(good)})
	py, err := findPython(t.Context(), oldestMinor)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := py.Executable+" "+py.version(), "/good 3.11.2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFindPythonThatIsNewEnough: a server may need a newer Python than another,
// and says so where there is none.
func TestFindPythonThatIsNewEnough(t *testing.T) {
	names := map[string]string{}
	for _, name := range pythonNames {
		names[name] = says(strings.ReplaceAll(strings.ReplaceAll(goodProbe, "%q", `"/ten"`), "3, 11, 2", "3, 10, 9"))
	}
	fakeMachine(t, names)
	recipe := testRecipe
	recipe.Oldest = 11
	if _, err := recipe.Install(t.Context(), t.Logf); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "python3 is Python 3.10.9, and 3.11 or newer is needed") {
		t.Errorf("got error %v, want ErrUnavailable that tells which Python is needed", err)
	}
	if py, err := findPython(t.Context(), 10); err != nil || py.Executable != "/ten" {
		t.Errorf("got %q, %v; want the one that is just new enough", py.Executable, err)
	}
	fakeMachine(t, nil)
	if _, err := recipe.Install(t.Context(), t.Logf); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "install Python 3.11 or newer") {
		t.Errorf("got error %v, want ErrUnavailable that tells what to install", err)
	}
}

func TestCleanEnv(t *testing.T) {
	got := strings.Join(cleanEnv([]string{
		"PATH=/bin", "PYTHONPATH=/elsewhere", "PYTHONHOME=/h", "PYTHONDONTWRITEBYTECODE=1", "PIP_INDEX_URL=https://mirror", "HOME=/home/a=b",
	}), " ")
	want := "PATH=/bin PIP_INDEX_URL=https://mirror HOME=/home/a=b PYTHONNOUSERSITE=1 PYTHONWARNINGS=ignore PYTHONUTF8=1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
