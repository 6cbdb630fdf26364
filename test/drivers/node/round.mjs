// Usage: node round.mjs pg|postgres DSN. Creates, inserts, selects, updates, selects again and
// deletes, each read three times; prints ok.
import assert from 'node:assert/strict'

const [driver, dsn] = process.argv.slice(2)

// Each way of asking: a function (text, values) => rows, on one connection.
async function ways() {
  if (driver === 'pg') {
    const { default: pg } = await import('pg')
    const client = new pg.Client({ connectionString: dsn })
    await client.connect()
    const rows = async (query) => (await client.query(query)).rows
    return {
      end: () => client.end(),
      code: (error) => error.code,
      list: {
        unnamed: (text, values) => rows({ text, values }),
        named: (text, values) => rows({ name: text, text, values }),
        arrays: async (text, values) => {
          const result = await client.query({ text, values, rowMode: 'array' })
          return result.rows.map((row) => Object.fromEntries(row.map((v, i) => [result.fields[i].name, v])))
        },
        pipelined: async (text, values) => {
          const [first, second] = await Promise.all([
            client.query({ text: 'SELECT 1 AS one' }), client.query({ text, values })])
          assert.equal(first.rows[0].one, 1)
          return second.rows
        },
      },
    }
  }
  const { default: postgres } = await import('postgres')
  const sql = postgres(dsn, { max: 1, onnotice: () => {} })
  return {
    end: () => sql.end(),
    code: (error) => error.code,
    list: {
      prepared: (text, values) => sql.unsafe(text, values, { prepare: true }),
      unnamed: (text, values) => sql.unsafe(text, values, { prepare: false }),
      described: async (text, values) => {
        await sql.unsafe(text, values, { prepare: true }).describe()
        return sql.unsafe(text, values, { prepare: true })
      },
      cursor: async (text, values) => {
        if (!text.startsWith('SELECT')) return sql.unsafe(text, values)
        const all = []
        await sql.unsafe(text, values).cursor(2, (rows) => { all.push(...rows) })
        return all
      },
      pipelined: async (text, values) => {
        const [first, second] = await Promise.all([sql`SELECT 1 AS one`, sql.unsafe(text, values)])
        assert.equal(first[0].one, 1)
        return second
      },
    },
  }
}

const { end, code, list } = await ways()
for (const [name, query] of Object.entries(list)) {
  const table = `node_${name}`
  const expect = async (want, text, values) => {
    for (let i = 0; i < 3; i++) {
      const rows = await query(text, values)
      assert.deepEqual([...rows].map((row) => row.v), want, `${name}: ${text}`)
    }
  }
  const byID = `SELECT v FROM ${table} WHERE id = $1`
  const all = `SELECT v FROM ${table} WHERE id > $1 ORDER BY id`
  await query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text)`, [])
  await expect([], byID, [1])
  await query(`INSERT INTO ${table} VALUES ($1, $2), ($3, $4)`, [1, 'one', 2, null])
  await expect(['one'], byID, [1])
  await expect(['one', null], all, [0])
  await query(`UPDATE ${table} SET v = $1 WHERE id = $2`, ['uno', 1])
  await expect(['uno'], byID, [1])
  await query(`INSERT INTO ${table} SELECT g, 'many' FROM generate_series(3, 7) AS g`, [])
  await expect(['many', 'many', 'many', 'many', 'many'], all, [2])
  await query(`DELETE FROM ${table} WHERE id = $1`, [1])
  await expect([], byID, [1])
  await query(`DROP TABLE ${table}`, [])
  await assert.rejects(async () => query(byID, [1]), (error) => code(error) === '42P01', `${name}: dropped`)
}
await end()
console.log('ok')
