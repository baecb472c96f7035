// SCIMMY's routers on express, with users in a table of PostgreSQL, by name and by id through indexes.
// `node serve.mjs FD`, with BENCH_DSN and BENCH_TOKEN in the environment. It ends when its input does.
import express from "express";
import pg from "pg";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const descriptor = process.argv[2];
const pool = new pg.Pool({ connectionString: process.env.BENCH_DSN, max: 8 });
await pool.query(`DROP SCHEMA IF EXISTS bench_scimmy CASCADE; CREATE SCHEMA bench_scimmy;
  CREATE TABLE bench_scimmy.person (id bigserial PRIMARY KEY, user_name text UNIQUE NOT NULL, body jsonb NOT NULL)`);

const written = ({ id, user_name: userName, body }) => ({ ...body, id: String(id), userName });

async function wanted(resource) {
  if (resource.id) return pool.query("SELECT * FROM bench_scimmy.person WHERE id = $1", [resource.id]);
  const name = resource.filter?.[0]?.userName;
  if (name) return pool.query("SELECT * FROM bench_scimmy.person WHERE user_name = $1", [name[1]]);
  return pool.query("SELECT * FROM bench_scimmy.person ORDER BY id LIMIT 100");
}

SCIMMY.Resources.declare(SCIMMY.Resources.User)
  .egress(async (resource) => {
    const { rows } = await wanted(resource);
    if (resource.id && rows.length === 0) throw new SCIMMY.Types.Error(404, null, "no such user");
    return resource.id ? written(rows[0]) : rows.map(written);
  })
  .ingress(async (resource, given) => {
    const { id: _id, userName, ...body } = JSON.parse(JSON.stringify(given));
    const { rows } = resource.id
      ? await pool.query("UPDATE bench_scimmy.person SET user_name = $2, body = $3 WHERE id = $1 RETURNING *", [resource.id, userName, body])
      : await pool.query("INSERT INTO bench_scimmy.person (user_name, body) VALUES ($1, $2) RETURNING *", [userName, body]);
    return written(rows[0]);
  })
  .degress(async (resource) => {
    await pool.query("DELETE FROM bench_scimmy.person WHERE id = $1", [resource.id]);
  });

const app = express();
app.use("/", new SCIMMYRouters({
  type: "bearer",
  handler: (request) => {
    if (request.header("Authorization") !== `Bearer ${process.env.BENCH_TOKEN}`) throw new Error("wrong token");
    return "bench";
  },
}));
const server = app.listen({ fd: Number(descriptor) });
server.keepAliveTimeout = 75_000;
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
