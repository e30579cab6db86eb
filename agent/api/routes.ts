import type { Route } from "./call.js";
import { MLFLOW } from "./mlflow/mlflow.js";
import { TASKS } from "./tasks/tasks.js";
import { TRAINER } from "./trainer.js";
import { V1 } from "./v1.js";

/** All that is answered, on every way in. */
export const ROUTES: readonly Route[] = [...V1, ...TASKS, ...TRAINER, ...MLFLOW];
