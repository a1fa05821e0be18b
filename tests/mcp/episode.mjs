// A whole episode over the TypeScript SDK: recall, start, log, complete, explain, a playbook as a skill.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [command, folder] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1" });
await client.connect(new StdioClientTransport({ command, args: ["--path", folder, "mcp"] }));

const call = async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, JSON.stringify(result));
  return result.structuredContent;
};
const task = "Deploy version 3.2.1 of the invoices service to production.";
const { episode } = await call("start", { task, domain: "ops" });
const recalled = await call("recall", { text: task, episode });
assert.ok(recalled.known && recalled.text.includes("deploy_service"), recalled.text);
assert.equal((await call("log", { episode, tool: "deploy_service", arguments: { version: "3.2.1" }, result: "ok" })).step, 1);
assert.equal((await call("log", { episode, tool: "check_rollout", error: "0 of 3 replicas are available" })).step, 2);
const used = recalled.items.filter((item) => item.startsWith("playbook:"));
const done = await call("complete", { episode, outcome: "partial", fraction: 0.5, summary: "no replica came up", used });
assert.equal(done.steps, 2);
const rule = recalled.items.find((item) => item.startsWith("heuristic:"));
assert.ok((await call("explain", { item: rule })).evidence !== undefined);

const revised = await call("feedback", { episode, from: "user", outcome: "failure", summary: "it was down" });
assert.ok(revised.reward < done.reward, JSON.stringify({ revised, done }));

// An error of the memory is a result that the model reads.
const refused = await client.callTool({ name: "log", arguments: { episode, tool: "x" } });
assert.ok(refused.isError && refused.content[0].text.includes("completed"), JSON.stringify(refused));
const { contents } = await client.readResource({ uri: `memory://episode/${episode}` });
assert.equal(JSON.parse(contents[0].text).steps.length, 2);
await assert.rejects(client.readResource({ uri: "memory://episode/none" }), /there is no/);
const { messages } = await client.getPrompt({ name: "start_task", arguments: { task } });
assert.ok(messages[0].content.text.includes("<recalled-memory"));
await client.close();
console.log("TypeScript SDK: a whole episode");
