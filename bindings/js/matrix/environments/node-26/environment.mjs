import { nodeEnvironment } from "../../node.mjs";

export default nodeEnvironment("Node 26", { permission: ["--permission", "--allow-net"], typeScript: true });
