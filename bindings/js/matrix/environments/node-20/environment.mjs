import { nodeEnvironment } from "../../node.mjs";

export default nodeEnvironment("Node 20", { permission: ["--experimental-permission"] });
