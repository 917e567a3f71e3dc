// A small renderer: views say what should be there, `patch` changes the page in place. Text goes in as text nodes, never as markup.

/**
 * @typedef {{tag: string, key?: string|number, props: Object<string, any>, children: VNode[], text?: string}} VNode
 * @typedef {VNode|string|number|boolean|null|undefined|Child[]} Child
 */

const SVG = "http://www.w3.org/2000/svg";
const FORBIDDEN = new Set(["style", "innerHTML", "outerHTML", "srcdoc"]);
const PROPERTIES = new Set(["checked", "disabled", "indeterminate"]);

/** @type {WeakMap<Node, VNode>} what a node shows */
const shown = new WeakMap();
/** @type {WeakMap<Node, Node[]>} the children that were made here */
const made = new WeakMap();

/** @param {Child[]} list @param {VNode[]} into @returns {VNode[]} */
function flat(list, into = []) {
  for (const child of list) {
    if (Array.isArray(child)) flat(child, into);
    else if (typeof child === "string" || typeof child === "number") {
      into.push({ tag: "#text", props: {}, children: [], text: String(child) });
    } else if (child && typeof child === "object") into.push(child);
  }
  return into;
}

/**
 * Describes an element. `on: {click}` are handlers; `key` tells siblings apart.
 * @param {string} tag @param {Object<string, any>|null} [props] @param {...Child} children @returns {VNode}
 */
export function h(tag, props, ...children) {
  return { tag, key: props?.key, props: props ?? {}, children: flat(children) };
}

/** Makes the children of `parent` look like `next`, and keeps every node that can stay, above all the one with the focus.
 * @param {Node} parent @param {Child[]} next */
export function patch(parent, next) {
  const wanted = flat(next);
  const keyed = new Map();
  const loose = new Map();
  const old = made.get(parent) ?? [];
  for (const node of old) {
    const { key, tag } = /** @type {VNode} */ (shown.get(node));
    if (key !== undefined) keyed.set(key, node);
    else if (loose.has(tag)) loose.get(tag).push(node);
    else loose.set(tag, [node]);
  }
  const nodes = wanted.map((v) => {
    let node = v.key === undefined ? loose.get(v.tag)?.shift() : keyed.get(v.key);
    if (node && v.key !== undefined) {
      keyed.delete(v.key);
      if (shown.get(node)?.tag !== v.tag) node = undefined;
    }
    node ??= create(v, parent);
    update(node, v);
    return node;
  });
  const keep = new Set(nodes);
  for (const node of old) if (!keep.has(node)) parent.removeChild(node);
  arrange(parent, nodes);
  made.set(parent, nodes);
}

/** Puts nodes in order without moving the one that has the focus: to move it would take the focus away. */
function arrange(parent, nodes) {
  let next = parent.firstChild;
  const right = nodes.every((node) => {
    const same = node === next;
    next = next?.nextSibling ?? null;
    return same;
  });
  if (right) return;
  const active = document.activeElement;
  const pivot = Math.max(0, nodes.findIndex((node) => node.contains(active)));
  if (nodes.length && nodes[pivot].parentNode !== parent) parent.appendChild(nodes[pivot]);
  for (let i = pivot - 1; i >= 0; i--) {
    if (nodes[i].nextSibling !== nodes[i + 1] || nodes[i].parentNode !== parent) parent.insertBefore(nodes[i], nodes[i + 1]);
  }
  for (let i = pivot + 1; i < nodes.length; i++) {
    if (nodes[i - 1].nextSibling !== nodes[i]) parent.insertBefore(nodes[i], nodes[i - 1].nextSibling);
  }
}

/** @param {VNode} v @param {Node} parent @returns {Node} */
function create(v, parent) {
  if (v.tag === "#text") return document.createTextNode(v.text ?? "");
  const inside = parent instanceof SVGElement;
  return v.tag === "svg" || inside ? document.createElementNS(SVG, v.tag) : document.createElement(v.tag);
}

/** @param {any} node @param {VNode} v */
function update(node, v) {
  const before = shown.get(node);
  shown.set(node, v);
  if (v.tag === "#text") {
    if (node.data !== v.text) node.data = v.text;
    return;
  }
  const was = before?.props ?? {};
  for (const name of Object.keys(was)) if (!(name in v.props)) set(node, name, null, was[name]);
  for (const [name, value] of Object.entries(v.props)) {
    if (name !== "value") set(node, name, value, was[name]);
  }
  patch(node, v.children);
  // A select takes its value only once its options are there.
  if ("value" in v.props) set(node, "value", v.props.value, was.value);
}

function set(node, name, value, was) {
  if (name === "key") return;
  if (FORBIDDEN.has(name) || /^on./.test(name)) throw new Error(`${name} is not set here`);
  if (name === "on") {
    listen(node, value ?? {});
  } else if (PROPERTIES.has(name)) {
    if (node[name] !== Boolean(value)) node[name] = Boolean(value);
  } else if (name === "value" && node.tagName !== "PROGRESS") {
    if (node.value !== String(value ?? "")) node.value = value ?? "";
  } else if (value !== was) {
    if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @type {WeakMap<Node, Object<string, Function>>} */
const handlers = new WeakMap();

function listen(node, next) {
  const had = handlers.get(node) ?? {};
  for (const type of Object.keys(next)) {
    if (!(type in had)) node.addEventListener(type, dispatch);
  }
  handlers.set(node, { ...Object.fromEntries(Object.keys(had).map((type) => [type, null])), ...next });
}

function dispatch(event) {
  handlers.get(event.currentTarget)?.[event.type]?.(event);
}
