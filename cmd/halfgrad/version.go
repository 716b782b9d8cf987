package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, version())
	return err
}

// version returns the line that --version prints.
func version() string {
	info, _ := debug.ReadBuildInfo()
	return "halfgrad " + versionOf(info) + ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}

// versionOf returns the module's version and the commit that the program was built
// from, so far as the build knows them: 'go run' and 'go test' note no commit.
func versionOf(info *debug.BuildInfo) string {
	text := "(devel)"
	if info == nil {
		return text
	}
	if info.Main.Version != "" {
		text = info.Main.Version
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return text
	}
	text += ", commit " + commit[:min(12, len(commit))]
	if settings["vcs.modified"] == "true" {
		text += " with changes"
	}
	if time := settings["vcs.time"]; time != "" {
		text += " of " + time
	}
	return text
}
