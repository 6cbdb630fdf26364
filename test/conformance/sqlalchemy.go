package main

import (
	"context"
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgrecall/pgrecall/internal/pgtest"
)

// sqlalchemyProject is a project as SQLAlchemy wants it of the authors of dialects.
//
//go:embed sqlalchemy
var sqlalchemyProject embed.FS

// pythonPackages are what the suite needs beside the distribution's Python.
var pythonPackages = []string{ //nolint:gochecknoglobals // constant
	"python3-sqlalchemy", "python3-psycopg2", "python3-asyncpg", "python3-greenlet",
	"python3-pytest", "python3-iniconfig", "python3-packaging", "python3-pluggy", "python3-attr",
}

// python is the distribution's, for which its packages are compiled.
const python = "/usr/bin/python3"

// sqlalchemySuite is SQLAlchemy's suite for dialects with one driver: psycopg2 speaks the simple protocol, asyncpg the extended one.
func sqlalchemySuite(driver, directory string) *suite {
	project := filepath.Join(directory, "sqlalchemy-"+driver)
	var packages string
	return &suite{
		name: "SQLAlchemy, " + driver, bound: 10 * time.Minute, passes: 1,
		fetch: func(ctx context.Context) (err error) {
			if packages, err = fetchPython(ctx); err != nil {
				return err
			}
			files, err := fs.Sub(sqlalchemyProject, "sqlalchemy")
			if err != nil {
				return err
			}
			return errors.Join(os.RemoveAll(project), os.CopyFS(project, files))
		},
		prepare: func(ctx context.Context, s *pgtest.Server) error {
			if err := s.Exec(ctx, "postgres", "CREATE DATABASE test"); err != nil {
				return err
			}
			return s.Exec(ctx, "test", "CREATE SCHEMA test_schema; CREATE SCHEMA test_schema_2; CREATE EXTENSION hstore")
		},
		run: func(ctx context.Context, p place) (results, error) {
			return runPytest(ctx, project, packages, "postgresql+"+driver, p)
		},
	}
}

// fetchPython returns the directory of the Python packages, unpacked beside the machine's own.
func fetchPython(ctx context.Context) (string, error) {
	directory, err := pgtest.Cached("conformance-python", func(directory string) error {
		a, err := openArchive(ctx)
		if err != nil {
			return err
		}
		return errors.Join(a.extract(ctx, directory, pythonPackages...), a.close())
	})
	if err != nil {
		return "", fmt.Errorf("SQLAlchemy: %w", err)
	}
	return directory + "/usr/lib/python3/dist-packages", nil
}

func runPytest(ctx context.Context, project, packages, dialect string, p place) (results, error) {
	if err := os.MkdirAll(p.directory, 0o755); err != nil {
		return nil, err
	}
	report := filepath.Join(p.directory, "report.xml")
	command := exec.CommandContext(ctx, python, "-m", "pytest", "--junitxml="+report,
		"--dburi", fmt.Sprintf("%s://postgres:trusted@%s:%s/test", dialect, p.host, p.port))
	command.Dir = project
	command.Env = append(clean(os.Environ()), "PYTHONPATH="+packages, "PYTHONDONTWRITEBYTECODE=1")
	return runGroup(command, filepath.Join(p.directory, "log"), func(io.Reader) (results, error) {
		file, err := os.Open(report)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return parseJUnit(file)
	})
}

// parseJUnit reads pytest's report. The server's version and the dialect are a part of the classes' names there.
func parseJUnit(file io.Reader) (results, error) {
	var report struct {
		Cases []struct {
			Class   string    `xml:"classname,attr"`
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.NewDecoder(file).Decode(&report); err != nil {
		return nil, fmt.Errorf("pytest's report: %w", err)
	}
	found := results{}
	for _, c := range report.Cases {
		name := strings.TrimPrefix(c.Class, "test.test_suite.") + "." + c.Name
		switch {
		case c.Failure != nil || c.Error != nil:
			found[name] = failed
		case c.Skipped != nil:
			found[name] = skipped
		case found[name] == passed: // a test with an error at its end has two entries
			found[name] = passed
		}
	}
	return found, nil
}
