/** What keeping a lease takes and nothing else: the agent's lease thread loads no more than this. */
export { type ConnectOptions, openBus } from "../connect.js";
export { Session } from "../session.js";
