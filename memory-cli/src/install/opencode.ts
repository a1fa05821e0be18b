// installed by agent-memory: passes the events of OpenCode on to the `memory` command.
import { spawn } from "node:child_process";

const command: string[] = __COMMAND__;

// Returns what the memory says to an event; nothing if it says nothing, or is not there.
function hook(event: Record<string, unknown>, ...more: string[]): Promise<string | undefined> {
  return new Promise((done) => {
    const child = spawn(command[0], [...command.slice(1), ...more], { stdio: ["pipe", "pipe", "ignore"] });
    let text = "";
    child.on("error", () => done(undefined));
    child.stdout.on("data", (chunk) => (text += chunk));
    child.on("close", () => {
      try {
        done(JSON.parse(text).hookSpecificOutput.additionalContext);
      } catch {
        done(undefined);
      }
    });
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify(event));
  });
}

export const AgentMemory = async ({ directory }: { directory: string }) => {
  const base = (session_id: string, hook_event_name: string) => ({ session_id, hook_event_name, cwd: directory });
  // What is to be added to the next request of a session.
  const context = new Map<string, string>();
  const keep = (session: string, text: string | undefined) => {
    if (text) context.set(session, [context.get(session), text].filter(Boolean).join("\n\n"));
  };
  return {
    "chat.message": async (input: { sessionID: string }, output: { parts: { type: string; text?: string }[] }) => {
      const prompt = output.parts.filter((part) => part.type === "text").map((part) => part.text).join("\n");
      keep(input.sessionID, await hook({ ...base(input.sessionID, "UserPromptSubmit"), prompt }));
    },
    "tool.execute.before": async (input: { tool: string; sessionID: string }, output: { args: unknown }) => {
      const event = { ...base(input.sessionID, "PreToolUse"), tool_name: input.tool, tool_input: output.args };
      keep(input.sessionID, await hook(event));
    },
    "tool.execute.after": async (
      input: { tool: string; sessionID: string; args?: unknown },
      output: { output: string },
    ) => {
      const event = { ...base(input.sessionID, "PostToolUse"), tool_name: input.tool, tool_input: input.args };
      keep(input.sessionID, await hook({ ...event, tool_response: output.output }));
    },
    "experimental.chat.system.transform": async (input: { sessionID?: string }, output: { system: string[] }) => {
      const text = input.sessionID && context.get(input.sessionID);
      if (text) output.system.push(text);
    },
    event: async ({ event }: { event: { type: string; properties?: { sessionID?: string } } }) => {
      const session = event.properties?.sessionID;
      if (event.type !== "session.idle" || !session) return;
      context.delete(session);
      await hook(base(session, "Stop"), "--learn", "--deadline-ms", "20000");
    },
  };
};
