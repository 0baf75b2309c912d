// SPDX-License-Identifier: Apache-2.0

// Runs MatrixClients of matrix-js-sdk for a Go program. Each line of standard
// input is a call, {id, client, method, args}; each line of standard output is
// the answer to one, {id, result} or {id, error}. Calls run side by side. The
// end of standard input is the end of this process.

import { Console } from "node:console";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Standard output belongs to the answers, and the SDK logs to the console, from
// its first line on: hence import() further down.
globalThis.console = new Console(process.stderr, process.stderr);
const reply = (message) => process.stdout.write(JSON.stringify(message) + "\n");

// A browser logs these and lives on, and the SDK leaves some behind.
process.on("unhandledRejection", (e) => console.error("unhandled rejection:", e));

const modules = pathToFileURL(process.argv[1] + "/");
const sdk = await import(new URL("matrix-js-sdk/lib/index.js", modules));

const clients = new Map();
const flows = new Map();

/** An error of this driver's own, which no homeserver can cause. */
class DriverError extends Error {
    constructor(kind, message) {
        super(message);
        this.name = kind;
    }
}

/** fetch, but a failure says what the system said: the SDK only keeps the message. */
async function tellingFetch(resource, options) {
    try {
        return await fetch(resource, options);
    } catch (e) {
        if (e.cause) e.message += `: ${e.cause.code ?? ""} ${e.cause.message}`;
        throw e;
    }
}

function describe(e) {
    return { name: e.name, httpStatus: e.httpStatus, errcode: e.errcode, message: e.message, data: e.data };
}

/** A method of a client, or of what stands for it. */
function method(client, name) {
    const found = client[name];
    if (typeof found !== "function" || name === "constructor") {
        throw new DriverError("UnknownMethod", `MatrixClient has no method ${name}`);
    }
    return found.bind(client);
}

function lookup(map, key) {
    const found = map.get(key);
    if (!found) throw new DriverError("UnknownHandle", `there is no ${key}`);
    return found;
}

/** JSON has no undefined: as an argument, null stands for it. */
const argument = (value) => (value === null ? undefined : value);

/** The arguments of a call, with the auth dict where the placeholder {"$auth": true} is. */
function fill(value, auth) {
    if (Array.isArray(value)) return value.map((v) => fill(v, auth));
    if (value === null || typeof value !== "object") return value;
    if (value.$auth === true) return auth ?? undefined;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fill(v, auth)]));
}

/** A next_link with the names that stand in it filled in, as clients write it. */
const linkOf = (link, names) => link?.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(names[name]));

/** One run of the SDK's InteractiveAuth, as a client's dialogue would drive it. */
class Flow {
    constructor(client, { method: name, args, email, requestToken, nextLink, resume }) {
        this.state = { stage: null };
        const call = method(client, name);
        const requestEmailToken = requestToken && method(client, requestToken);
        this.auth = new sdk.InteractiveAuth({
            matrixClient: client,
            inputs: email ? { emailAddress: email } : {},
            doRequest: (auth) => this.track(call(...fill(args, auth).map(argument)), true),
            requestEmailToken: (address, secret, attempt, session) =>
                this.track(requestEmailToken(address, secret, attempt, linkOf(nextLink, { secret, session }))),
            ...resume,
            stateUpdated: (stage) => (this.state.stage = stage),
        });
    }

    /** Keeps the latest request, for rest() to wait for, and how the auth call ended. */
    track(promise, isAuth) {
        this.latest = promise;
        if (isAuth) promise.then(() => delete this.state.refused, (e) => (this.state.refused = describe(e)));
        return promise;
    }

    /** Waits until InteractiveAuth has nothing more to send by itself. */
    async rest() {
        for (let seen; seen !== this.latest; ) {
            seen = this.latest;
            await seen?.catch(() => {});
            await new Promise((resolve) => setImmediate(resolve)); // after all that follows from it
        }
        if (this.failure) throw this.failure;
        return { ...this.state, done: this.done === true, result: this.result, emailSid: this.auth.getEmailSid() };
    }

    start() {
        this.auth.attemptAuth().then(
            (result) => Object.assign(this, { done: true, result }),
            (e) => (this.failure = e),
        );
        return this.rest();
    }

    async poll() {
        await this.auth.poll(); // old ones ask for /versions before they send anything
        return this.rest();
    }

    async submit(auth) {
        await this.auth.submitAuthDict(auth);
        return this.rest();
    }
}

/** What can be called besides the methods of a client. */
const own = {
    async hello() {
        const { version } = JSON.parse(await readFile(new URL("matrix-js-sdk/package.json", modules)));
        const methods = Object.getOwnPropertyNames(sdk.MatrixClient.prototype);
        return { node: process.versions.node, sdk: version, methods };
    },
    createClient(key, { identityToken, ...opts }) {
        if (identityToken) opts.identityServer = { getAccessToken: async () => identityToken };
        clients.set(key, sdk.createClient({ ...opts, fetchFn: tellingFetch }));
    },
    startFlow(key, client, request) {
        const flow = new Flow(lookup(clients, client), request);
        flows.set(key, flow);
        return flow.start();
    },
    pollFlow: (key) => lookup(flows, key).poll(),
    submitFlow: (key, auth) => lookup(flows, key).submit(auth),
};

async function serve({ id, client, method: name, args }) {
    try {
        const call = client ? method(lookup(clients, client), name) : own[name];
        const result = await call(...args.map(argument));
        reply({ id, result: result ?? null });
    } catch (e) {
        reply({ id, error: describe(e instanceof Error ? e : new Error(String(e))) });
    }
}

for await (const line of createInterface({ input: process.stdin })) {
    serve(JSON.parse(line)); // not awaited: calls run side by side
}
process.exit(0);
