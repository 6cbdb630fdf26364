package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgrecall/pgrecall/config"
)

// check validates a configuration the way serve would read it. What is wrong goes to stdout, as
// the answer to the question that was asked.
func (p *process) check() int {
	args := p.args
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = append([]string{"--config", args[0]}, args[1:]...)
	}
	c, err := config.Load(args, p.env)
	switch {
	case errors.Is(err, config.ErrHelp):
		return p.help()
	case err != nil:
		fmt.Fprintln(p.stdout, err)
		return exitFailure
	}
	if err := supported(c); err != nil {
		fmt.Fprintln(p.stdout, err)
		return exitFailure
	}
	fmt.Fprintln(p.stdout, "ok")
	return exitOK
}
