package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc (USER_HZ), 10 ms on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// processStat is what proc(5) says about a process, as far as it is needed.
type processStat struct {
	pid, parent int
	cpu         time.Duration // its own and that of the children it has waited for
}

var errProcFormat = errors.New("unexpected format")

// parseStat reads a /proc/PID/stat line. The command's name, in parentheses, may hold anything.
func parseStat(line []byte) (processStat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return processStat{}, errProcFormat
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	if err != nil {
		return processStat{}, errProcFormat
	}
	// Fields are counted from 1 in proc(5); the first after the name is number 3.
	fields := strings.Fields(string(line[end+1:]))
	field := func(number int) (int64, error) {
		if number-3 >= len(fields) {
			return 0, errProcFormat
		}
		return strconv.ParseInt(fields[number-3], 10, 64)
	}
	parent, err := field(4)
	if err != nil {
		return processStat{}, err
	}
	var ticks int64
	for number := 14; number <= 17; number++ { // utime, stime, cutime, cstime
		n, err := field(number)
		if err != nil {
			return processStat{}, err
		}
		ticks += n
	}
	return processStat{pid: pid, parent: int(parent), cpu: time.Duration(ticks) * clockTick}, nil
}

// treeCPU is the CPU time that the process and its descendants have used so far.
func treeCPU(root int) (time.Duration, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	byParent := make(map[int][]processStat)
	var sum time.Duration
	found := false
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + entry.Name() + "/stat")
		if err != nil {
			continue // ended meanwhile
		}
		stat, err := parseStat(line)
		if err != nil {
			return 0, fmt.Errorf("/proc/%s/stat: %w", entry.Name(), err)
		}
		byParent[stat.parent] = append(byParent[stat.parent], stat)
		if stat.pid == root {
			found, sum = true, stat.cpu
		}
	}
	if !found {
		return 0, fmt.Errorf("process %d: %w", root, os.ErrProcessDone)
	}
	for pending := []int{root}; len(pending) > 0; pending = pending[1:] {
		for _, child := range byParent[pending[0]] {
			sum += child.cpu
			pending = append(pending, child.pid)
		}
	}
	return sum, nil
}

// residentBytes is the resident memory of one process.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, errProcFormat
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
