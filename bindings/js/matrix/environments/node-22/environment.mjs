import { nodeEnvironment } from "../../node.mjs";

export default nodeEnvironment("Node 22");
