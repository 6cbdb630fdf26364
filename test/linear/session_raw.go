package linear

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// raw is a session over pgconn, which sends what it is told and no more.
type raw struct {
	config *pgconn.Config
	conn   *pgconn.PgConn
	// prepared are the tables for which the statement of readQuery has been prepared.
	prepared map[string]bool
}

func newRaw(dsn string) (*raw, error) {
	c, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c.DialFunc = dialCut
	return &raw{config: c}, nil
}

func (r *raw) prepare(ctx context.Context) (*cutSocket, error) {
	if r.conn == nil || r.conn.IsClosed() {
		conn, err := pgconn.ConnectConfig(ctx, r.config)
		if err != nil {
			return nil, err
		}
		r.conn, r.prepared = conn, map[string]bool{}
	}
	socket, _ := r.conn.Conn().(*cutSocket)
	return socket, nil
}

// finish hangs up where a transaction was left open.
func (r *raw) finish() {
	if !r.conn.IsClosed() && (r.conn.IsBusy() || r.conn.TxStatus() != 'I') {
		r.close()
	}
}

func (r *raw) close() {
	if r.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), operationTimeout)
		defer cancel()
		_ = r.conn.Close(ctx)
	}
}

// errAnswer is an answer that has not the shape that it must have.
var errAnswer = errors.New("unexpected answer")

func number(results []*pgconn.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	if len(results) != 1 {
		return 0, errAnswer
	}
	return one(results[0])
}

func one(result *pgconn.Result) (int64, error) {
	if result.Err != nil {
		return 0, result.Err
	}
	if len(result.Rows) != 1 {
		return 0, errNoRow
	}
	return strconv.ParseInt(string(result.Rows[0][0]), 10, 64)
}

// parameters are values in text format.
func parameters(values ...int64) [][]byte {
	texts := make([][]byte, len(values))
	for i, v := range values {
		texts[i] = strconv.AppendInt(nil, v, 10)
	}
	return texts
}

func (r *raw) read(ctx context.Context, w *worker, key int) {
	sql, id := readQuery(key)
	arguments := parameters(int64(id))
	switch n := w.random.IntN(100); {
	case n < 45:
		_ = w.reads("raw simple", key, func() (int64, error) { return number(r.conn.Exec(ctx, readText(key)).ReadAll()) })
	case n < 65:
		_ = w.reads("raw extended", key, func() (int64, error) {
			return one(r.conn.ExecParams(ctx, sql, arguments, nil, nil, nil).Read())
		})
	case n < 84:
		_ = w.reads("raw prepared", key, func() (int64, error) {
			name := tableOf(key)
			if !r.prepared[name] {
				if _, err := r.conn.Prepare(ctx, name, sql, nil); err != nil {
					return 0, err
				}
				r.prepared[name] = true
			}
			return one(r.conn.ExecPrepared(ctx, name, arguments, nil, nil).Read())
		})
	case n < 90:
		_ = w.reads("raw uncached", key, func() (int64, error) { return number(r.conn.Exec(ctx, uncachedText(key)).ReadAll()) })
	default:
		r.readPipeline(ctx, w, key)
	}
}

// readPipeline sends reads one after another, and then waits for the answers: all of them took place in that time.
func (r *raw) readPipeline(ctx context.Context, w *worker, key int) {
	count := 2 + w.random.IntN(2)
	values := make([]int64, 0, count)
	call := w.run.now()
	p := r.conn.StartPipeline(ctx)
	for i := range count {
		sql, id := readQuery((key + i) % keys)
		p.SendQueryParams(sql, parameters(int64(id)), nil, nil, nil)
		if w.chance(500) {
			_ = p.Sync()
		}
	}
	_ = p.Sync()
	for len(values) < count {
		results, err := p.GetResults()
		if err != nil || results == nil {
			break
		}
		if reader, ok := results.(*pgconn.ResultReader); ok {
			value, err := one(reader.Read())
			if err != nil {
				break
			}
			values = append(values, value)
		}
	}
	_ = p.Close()
	finish := w.run.now()
	for i, value := range values {
		w.history = append(w.history, operation{client: w.id, through: w.through, generation: w.generation(), key: (key + i) % keys, value: value, call: call, finish: finish, outcome: done, how: "raw pipeline"})
	}
}

func (r *raw) write(ctx context.Context, w *worker, key int) {
	id := int64(key % rowsPerTable)
	switch w.random.IntN(7) {
	case 0:
		w.writes("raw simple", key, func(v int64) (outcome, error) {
			_, err := r.conn.Exec(ctx, updateText(key, v)).ReadAll()
			return judge(err), err
		})
	case 1:
		w.writes("raw extended", key, func(v int64) (outcome, error) {
			return judged(r.conn.ExecParams(ctx, updateQuery(key), parameters(id, v), nil, nil, nil).Close())
		})
	case 2: // PostgreSQL obeys the BEGIN inside
		w.writes("raw block in one query", key, func(v int64) (outcome, error) {
			_, err := r.conn.Exec(ctx, "BEGIN; "+updateText(key, v)+"; COMMIT").ReadAll()
			return judge(err), err
		})
	case 3:
		w.writes("raw pipelined queries", key, func(v int64) (outcome, error) { return r.queries(ctx, "BEGIN", updateText(key, v), "COMMIT") })
	case 4:
		w.writes("raw commit in a pipeline", key, func(v int64) (outcome, error) {
			for _, text := range []string{"BEGIN", updateText(key, v)} {
				if _, err := r.conn.Exec(ctx, text).ReadAll(); err != nil {
					return never, err
				}
			}
			return r.queries(ctx, "SAVEPOINT s", "RELEASE s", "COMMIT")
		})
	case 5:
		w.writes("raw pipelined block", key, func(v int64) (outcome, error) {
			p := r.conn.StartPipeline(ctx)
			p.SendQueryParams("BEGIN", nil, nil, nil, nil)
			p.SendQueryParams(updateQuery(key), parameters(id, v), nil, nil, nil)
			p.SendQueryParams("COMMIT", nil, nil, nil, nil)
			return r.pipelined(p, "BEGIN", "UPDATE 1", "COMMIT")
		})
	default:
		w.writes("raw pipelined update", key, func(v int64) (outcome, error) {
			p := r.conn.StartPipeline(ctx)
			p.SendQueryParams(updateQuery(key), parameters(id, v), nil, nil, nil)
			return r.pipelined(p, "UPDATE 1")
		})
	}
}

// pipelined ends a pipeline and compares the command tags. Whatever else comes leaves the outcome unknown.
func (r *raw) pipelined(p *pgconn.Pipeline, tags ...string) (outcome, error) {
	_ = p.Sync()
	var got []string
	var failed error
	for failed == nil {
		results, err := p.GetResults()
		if err != nil || results == nil {
			failed = err
			break
		}
		switch results := results.(type) {
		case *pgconn.ResultReader:
			var tag pgconn.CommandTag
			tag, failed = results.Close()
			got = append(got, tag.String())
		case *pgconn.PipelineSync:
			failed = p.Close()
			return tagged(failed, got, tags)
		}
	}
	_ = p.Close()
	return tagged(failed, got, tags)
}

func tagged(err error, got, want []string) (outcome, error) {
	if err != nil || len(got) != len(want) {
		return unknown, errors.Join(errAnswer, err)
	}
	for i := range got {
		if got[i] != want[i] {
			return unknown, errAnswer
		}
	}
	return done, nil
}

// queries sends simple queries in one packet. All of them must succeed.
func (r *raw) queries(ctx context.Context, texts ...string) (outcome, error) {
	var want []string
	for _, text := range texts {
		r.conn.Frontend().SendQuery(&pgproto3.Query{String: text})
		tag, _, _ := strings.Cut(text, " ")
		if tag == "UPDATE" {
			tag = "UPDATE 1"
		}
		want = append(want, tag)
	}
	if err := r.conn.Frontend().Flush(); err != nil {
		r.close()
		return unknown, err
	}
	var tags []string
	var failed error
	for ready := 0; ready < len(texts); {
		message, err := r.conn.ReceiveMessage(ctx)
		if err != nil {
			r.close()
			return unknown, err
		}
		switch m := message.(type) {
		case *pgproto3.CommandComplete:
			tags = append(tags, string(m.CommandTag))
		case *pgproto3.ErrorResponse:
			failed = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			ready++
		}
	}
	return tagged(failed, tags, want)
}
