package main

import "fmt"

func (p *process) warm() int {
	fmt.Fprintln(p.stderr, "pgrecall: warm is not in this version")
	return exitMissing
}
