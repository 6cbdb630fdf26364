package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report is one suite by one way.
type report struct {
	suite    *suite
	route    string
	results  results         // of all passes
	passes   []results       // of each
	took     []time.Duration // by pass
	figures  []figures       // after each pass; of pgrecall alone
	uncached []uncached      // at the end, where the suite wants it
	err      error           // what kept the suite from running to its end
}

// add takes the outcomes of a pass. A later pass's tests have names of their own.
func (r *report) add(found results, pass int) {
	r.passes = append(r.passes, found)
	for test, o := range found {
		if pass > 0 {
			test = fmt.Sprintf("%s (pass %d)", test, pass+1)
		}
		r.results[test] = o
	}
}

// differences returns the tests that pass direct and not here, sorted.
func (r *report) differences(direct *report) []string {
	var tests []string
	for test, o := range direct.results {
		if here, ran := r.results[test]; o == passed && (!ran || here != passed) {
			tests = append(tests, test)
		}
	}
	slices.Sort(tests)
	return tests
}

// table writes the comparison: a line for each suite, a column for each way.
func table(w io.Writer, routes []string, reports []*report) {
	fmt.Fprintf(w, "| suite | %s |\n|---|%s\n", strings.Join(routes, " | "), strings.Repeat("---:|", len(routes)))
	for _, s := range suitesOf(reports) {
		cells := make([]string, len(routes))
		for i, name := range routes {
			cells[i] = "-"
			if r := find(reports, s, name); r != nil {
				cells[i] = r.cell()
			}
		}
		fmt.Fprintf(w, "| %s | %s |\n", s, strings.Join(cells, " | "))
	}
}

// cell tells how many tests passed, of how many, for each pass.
func (r *report) cell() string {
	var cells []string
	for _, pass := range r.passes {
		cells = append(cells, fmt.Sprintf("%d of %d", pass.count(passed), len(pass)-pass.count(skipped)))
	}
	cell := strings.Join(cells, ", ")
	if r.err != nil {
		cell += " (did not end in order)"
	}
	return cell
}

// suitesOf returns the suites' names in the order in which they ran.
func suitesOf(reports []*report) []string {
	var names []string
	for _, r := range reports {
		if !slices.Contains(names, r.suite.name) {
			names = append(names, r.suite.name)
		}
	}
	return names
}

func find(reports []*report, suite, route string) *report {
	for _, r := range reports {
		if r.suite.name == suite && r.route == route {
			return r
		}
	}
	return nil
}

// cacheTable writes what pgrecall did with the reads of each pass.
func cacheTable(w io.Writer, reports []*report) {
	fmt.Fprint(w, "| suite | pass | seconds | statements | reads | hits | misses | cacheable | verified the same | different |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range reports {
		earlier := figures{}
		for pass, f := range r.figures {
			n := f.since(earlier)
			earlier = f
			statements := 0.0
			for _, value := range n[statementsMetric] {
				statements += value
			}
			hits, misses, bypassed := n.cacheable()
			reads := hits + misses + bypassed
			verified := n[verificationsMetric]
			fmt.Fprintf(w, "| %s, %s | %d | %.0f | %.0f | %.0f | %.0f | %.0f | %s | %.0f | %.0f |\n", r.suite.name, r.route, pass+1,
				r.took[pass].Seconds(), statements, reads, hits, misses, percent(hits+misses, reads), verified["same"], verified["different"])
		}
	}
}

// reasonTable writes why reads were not cached, the most frequent reasons first.
func reasonTable(w io.Writer, reports []*report) {
	for _, r := range reports {
		if len(r.figures) == 0 {
			continue
		}
		counts := r.figures[len(r.figures)-1][bypassMetric]
		var reasons []string
		total := 0.0
		for reason, n := range counts {
			total += n
			if n > 0 {
				reasons = append(reasons, reason)
			}
		}
		slices.SortFunc(reasons, func(a, b string) int { return int(counts[b] - counts[a]) })
		for i, reason := range reasons {
			reasons[i] = fmt.Sprintf("%s %s", reason, percent(counts[reason], total))
		}
		fmt.Fprintf(w, "- %s, %s, %.0f reads not cached: %s\n", r.suite.name, r.route, total, strings.Join(reasons, ", "))
	}
}

func percent(part, whole float64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*part/whole)
}
