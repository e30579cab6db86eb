import type { ObjectUse, PlaceUse, StoreUse, Survey } from "../../../broker/index.js";
import type { Handler } from "../../call.js";
import { tableWidth } from "../../output/output.js";
import { age, duration, size } from "../../output/quantities.js";
import { type Column, renderTable } from "../../output/table.js";
import { count } from "../../output/words.js";
import { excessLine, expiredLines } from "./gc.js";
import { rulesOf } from "./rules.js";

const STORES: Column<StoreUse>[] = [
  { title: "STORE", value: ({ name }) => name, isFlexible: true },
  { title: "KIND", value: ({ kind }) => kind },
  { title: "MESSAGES", value: ({ messages }) => String(messages), align: "right" },
  { title: "SIZE", value: ({ bytes }) => size(bytes), align: "right" },
  { title: "LIMIT", value: limitOf },
];

const OBJECTS: Column<ObjectUse>[] = [
  { title: "OBJECTS", value: ({ kind }) => kind },
  { title: "COUNT", value: ({ count: n }) => String(n), align: "right" },
  { title: "SIZE", value: ({ bytes }) => size(bytes), align: "right" },
];

const PLACES: Column<PlaceUse>[] = [
  { title: "WHERE", value: ({ place, name }) => (place === "fleet" ? place : `${place} ${name}`), isFlexible: true },
  { title: "TASKS", value: ({ tasks }) => String(tasks), align: "right" },
  { title: "LOGS", value: ({ logs }) => size(logs), align: "right" },
  { title: "METRICS", value: ({ metrics }) => size(metrics), align: "right" },
  { title: "ARTIFACTS", value: ({ artifacts }) => size(artifacts), align: "right" },
  { title: "KEPT", value: ({ keep }) => rulesOf(keep) || "—", isFlexible: true },
];

/** `navvy storage`: streams and buckets, objects by kind, what each project and queue holds, and what garbage collection would take. */
export const show: Handler = async (call) => {
  const survey = await (await call.navvy()).storage.survey();
  call.out.show({ kind: "storage", name: () => survey.stores.map(({ name }) => name).join("\n") }, survey, () => textOf(survey));
};

function textOf(survey: Survey): string {
  const width = tableWidth();
  const loose = survey.objects.find(({ kind }) => kind === "unreferenced");
  const { everyMs } = survey.retention;
  const would = [
    ...expiredLines(survey.expiring),
    ...(loose?.count ? [`${count(loose.count, "object")} that nothing refers to, ${size(loose.bytes)}`] : []),
  ];
  return [
    renderTable(STORES, survey.stores, { width }),
    renderTable(OBJECTS, survey.objects, { width }),
    renderTable(PLACES, survey.places, { width }),
    [
      ...survey.excesses.map(excessLine),
      would.length > 0
        ? `navvy gc takes away what is older than its grace of:\n${would.map((line) => `  ${line}`).join("\n")}`
        : "nothing to take away",
      `last garbage collection: ${survey.gcAt === undefined ? "never" : `${age(survey.gcAt)} ago`}; ${everyMs === undefined ? "only when somebody calls navvy gc" : `every ${duration(everyMs)}`}`,
    ].join("\n"),
  ].join("\n\n");
}

function limitOf({ maxBytes, maxAgeMs }: StoreUse): string {
  return [maxBytes ? size(maxBytes) : "", maxAgeMs ? duration(maxAgeMs) : ""].filter((each) => each !== "").join(", ") || "—";
}
