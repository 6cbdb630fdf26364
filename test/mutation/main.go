package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "breaks whose names hold this `text`")
	verbose := flag.Bool("v", false, "print what the tests said that noticed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ".", *only, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

// errMissed is the end of a run in which no test noticed some break.
var errMissed = errors.New("no test notices")

// run makes each break whose name holds a text, one at a time.
func run(ctx context.Context, root, only string, verbose bool) (err error) {
	if root, err = filepath.Abs(root); err != nil {
		return err
	}
	all, err := readBreaks(root)
	if err != nil {
		return err
	}
	var chosen []Break
	for _, b := range all {
		if strings.Contains(b.Name, only) {
			chosen = append(chosen, b)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("%w: none of %d breaks is named %q", errBreaks, len(all), only)
	}
	directory, err := os.MkdirTemp("", "pgrecall-mutation-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	w := &workshop{root, directory}
	began := time.Now()
	useless, err := w.unbroken(ctx, chosen)
	if err != nil {
		return err
	}
	missed := 0
	var defects []error
	for _, t := range useless {
		defects = append(defects, fmt.Errorf("%s %w", t, errUnbroken))
	}
	for i := range chosen {
		chosen[i].Tests = slices.DeleteFunc(chosen[i].Tests, func(t Test) bool { return slices.Contains(useless, t) })
		caught, err := w.try(ctx, &chosen[i], verbose)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			defects = append(defects, fmt.Errorf("%s: %q: %w", chosen[i].Place, chosen[i].Name, err))
		}
		if !caught {
			missed++
		}
	}
	fmt.Printf("%d breaks, %d caught, %d missed; %.0f s\n", len(chosen), len(chosen)-missed, missed, time.Since(began).Seconds())
	if missed > 0 {
		defects = append(defects, fmt.Errorf("%w %d of %d breaks", errMissed, missed, len(chosen)))
	}
	return errors.Join(defects...)
}

// errUnbroken is a test that fails without any break.
var errUnbroken = errors.New("fails on the code as it is")

// unbroken runs every test of the breaks once on the code as it is, and returns those that fail: they prove nothing.
func (w *workshop) unbroken(ctx context.Context, breaks []Break) (useless []Test, err error) {
	var packages []string
	tests := map[string][]Test{}
	seen := map[Test]bool{}
	for _, b := range breaks {
		for _, t := range b.Tests {
			if seen[t] {
				continue
			}
			if seen[t] = true; tests[t.Package] == nil {
				packages = append(packages, t.Package)
			}
			tests[t.Package] = append(tests[t.Package], t)
		}
	}
	for _, pkg := range packages {
		program, err := w.build(ctx, pkg, nil)
		if err != nil {
			return nil, err
		}
		for _, t := range tests[pkg] {
			began := time.Now()
			said, output, err := w.test(ctx, program, t)
			if err != nil {
				return nil, err
			}
			word := "passes unbroken"
			if said == failed {
				word = "FAILS unbroken"
				useless = append(useless, t)
				fmt.Println(output)
			}
			fmt.Printf("%-133s %6.1f s  %s\n", t, time.Since(began).Seconds(), word)
		}
	}
	return useless, nil
}

// try makes one break, prints its line and tells whether a test noticed. An error is a break that can't be tried.
func (w *workshop) try(ctx context.Context, b *Break, verbose bool) (caught bool, err error) {
	began := time.Now()
	by, err := w.noticed(ctx, b, verbose)
	word := "missed"
	if caught = by != ""; caught {
		word = "caught"
	} else {
		by = "nobody"
	}
	fmt.Printf("%-72s %-60s %6.1f s  %s\n", b.Name, by, time.Since(began).Seconds(), word)
	return caught, err
}

// noticed returns the name of the test that noticed the break, "" for none.
func (w *workshop) noticed(ctx context.Context, b *Break, verbose bool) (by string, err error) {
	changed, err := b.apply(w.root)
	if err != nil {
		return "", err
	}
	program, built := "", ""
	for _, t := range b.Tests {
		if t.Package != built {
			if program, err = w.build(ctx, t.Package, changed); err != nil {
				return "", err
			}
			built = t.Package
		}
		said, output, err := w.test(ctx, program, t)
		if verbose {
			fmt.Println(output)
		}
		switch {
		case err != nil:
			return "", err
		case said == failed:
			return t.Name, nil
		}
	}
	return "", nil
}
