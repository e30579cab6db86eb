import { pipelineFileSchema } from "../../../controller/file/index.js";
import type { Handler } from "../../call.js";

/** `navvy pipeline schema` */
export const schema: Handler = async ({ out }) => out.line(JSON.stringify(pipelineFileSchema(), undefined, 2));
