package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

func (p *process) version() int {
	fmt.Fprintf(p.stdout, "pgrecall %s (%s %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// linkedVersion is for builds outside of a repository, as in a container: -ldflags "-X main.linkedVersion=v1.2.3". Nothing else sets it.
var linkedVersion string

// buildVersion is the version that the linker was given, else the module's, or the commit, as the go command stamped it.
func buildVersion() string {
	if linkedVersion != "" {
		return linkedVersion
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if revision == "" {
		return "devel"
	}
	return "devel-" + revision + modified
}
