// The page of `kfbus dev`. No framework and no build step: what you read is what runs.
// Everything that comes from outside is put into the page as text, never as markup.

const $ = (id) => document.getElementById(id);

// ---- words ----

const words = { // [中文, English]; wire words stay as they are
  phone: ['客户手机', 'Phone'], steps: ['事件流', 'Events'], conversation: ['会话', 'Conversation'], views: ['视图', 'Views'],
  customer: ['客户', 'Customer'], account: ['客服账号', 'Account'], platformTime: ['平台时间', 'Platform time'],
  connecting: ['连接中', 'connecting'], live: ['实时', 'live'], lost: ['已断开，正在重连', 'disconnected, retrying'],
  theme: ['外观', 'Appearance'], auto: ['跟随系统', 'Auto'], light: ['浅色', 'Light'], dark: ['深色', 'Dark'],
  enter: ['进入会话', 'Open chat'], enterHint: ['触发 enter_session 事件', 'Causes the event enter_session'],
  messages: ['手机上的消息', 'Messages on the phone'], sayLabel: ['以客户身份发消息', 'Message as the customer'],
  sayPlaceholder: ['以客户身份输入，Enter 发送', 'Write here, Enter sends'], send: ['发送', 'Send'],
  noMessages: ['还没有消息。', 'No messages yet.'],
  recall: ['撤回', 'Recall'], recalled: ['已撤回', 'recalled'], undelivered: ['未送达', 'not delivered'], servicer: ['接待人员', 'Servicer'],
  entered: ['客户进入了会话', 'The customer opened the chat'], account_recalled: ['客服撤回了一条消息', 'The account took a message back'],
  customer_recalled: ['客户撤回了一条消息', 'The customer took a message back'],
  background: ['后台步骤', 'background'], clear: ['清空', 'Clear'], jump: ['回到最新', 'Jump to the newest'],
  emptyTitle: ['还没有事件。', 'Nothing has happened yet.'],
  emptyHint: ['先以客户身份发一条消息：从回调到回复，每一步都会实时出现在这里。',
    'Write as the customer: each step from the callback to the answer appears here as it happens.'],
  window: ['48 小时窗口', '48-hour window'], closes: ['{0} 关闭', 'closes {0}'], closed: ['已关闭', 'closed'], closedAt: ['{0} 已关闭', 'closed {0}'],
  never: ['客户还没有发过消息', 'The customer has not written yet'], sends: ['可发条数', 'Sends left'], ofFive: ['{0} / 5', '{0} of 5'],
  session: ['会话状态', 'Session'], generation: ['代次', 'Generation'],
  state0: ['新会话，由程序接待', 'New; the program answers'], state1: ['智能助手接待', 'Assistant; the program answers'],
  state2: ['接待池排队，等待人工', 'In the pool, waiting for a human'], state3: ['人工接待', 'A human answers'],
  state4: ['已结束或未开始', 'Ended, or not begun'],
  handOver: ['转人工', 'Hand over'], handOverHint: ['发布 transfer 命令，进入接待池', 'Publishes a transfer command: into the pool'],
  pickUp: ['接入', 'Pick up'], pickUpHint: ['接待人员从接待池接入', 'A servicer takes it out of the pool'],
  end: ['结束', 'End'], endHint: ['接待人员结束会话', 'The servicer ends the session'],
  advanceHint: ['拨快平台时钟', 'Moves the platform’s clock'],
  answer: ['以团队 console 回复', 'Answer as team console'], answerPlaceholder: ['您好！Enter 发布命令', 'Hello! Enter publishes a command'],
  publish: ['发布', 'Publish'], waiting: ['已发布，等待结果…', 'published, waiting for the outcome…'],
  terminal: ['在终端里试试', 'From your terminal'], places: ['地址', 'Addresses'], platform: ['模拟微信', 'Simulated WeChat'],
  control: ['控制接口', 'Control API'], copy: ['复制', 'Copy'], copied: ['已复制', 'Copied'], copySubject: ['复制主题', 'Copy subject'],
  copyPath: ['复制路径', 'Copy path'], copyBody: ['复制 JSON', 'Copy JSON'], cut: ['（过长，已截断）', '(too long, cut here)'],
  unreachable: ['连不上控制台，kfbus dev 还在运行吗？', 'The console cannot be reached; is kfbus dev running?'],
  'kind.webhook': ['回调', 'callback'], 'kind.callback': ['门铃', 'doorbell'], 'kind.page': ['拉取', 'page'], 'kind.message': ['消息', 'message'],
  'kind.event': ['事件', 'event'], 'kind.history': ['历史', 'history'], 'kind.app': ['应用', 'app'], 'kind.cursor': ['游标', 'cursor'],
  'kind.command': ['命令', 'command'], 'kind.call': ['API 调用', 'API call'], 'kind.outcome': ['结果', 'outcome'], 'kind.dead': ['死信', 'dead letter'],
  'kind.api': ['API 请求', 'API request'], 'kind.token': ['令牌', 'token'], 'kind.platform': ['平台', 'platform'], 'kind.other': ['其他', 'other'],
};

let zh = (stored('lang') ?? navigator.language).startsWith('zh');
const t = (key, ...args) => (words[key]?.[zh ? 0 : 1] ?? key).replace(/\{(\d)\}/g, (_, i) => args[i]);

function speak() {
  document.documentElement.lang = zh ? 'zh-CN' : 'en';
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t(e.dataset.t);
  for (const e of document.querySelectorAll('[data-t-label]')) e.setAttribute('aria-label', t(e.dataset.tLabel));
  for (const e of document.querySelectorAll('[data-t-title]')) e.title = t(e.dataset.tTitle);
  for (const e of document.querySelectorAll('[data-t-placeholder]')) e.placeholder = t(e.dataset.tPlaceholder);
  $('lang').textContent = zh ? 'English' : '中文';
  $('lang').lang = zh ? 'en' : 'zh-CN';
  showTheme();
  $('messages').replaceChildren();
  showPhone();
  showConversation();
  showInfo();
}

// ---- small things ----

function stored(key, value) { // the browser may forbid storage
  try {
    return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value);
  } catch { return null; }
}

function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (k in e) e[k] = v; else e.setAttribute(k, v);
  }
  e.append(...children.filter((c) => c !== '' && c != null));
  return e;
}

async function call(path, body) {
  let r;
  try {
    r = await fetch(path, body && { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  } catch { throw new Error(t('unreachable')); }
  const answer = await r.json();
  if (!r.ok) throw new Error(answer.error);
  return answer;
}

function notice(where, text = '', tone = '') {
  where.textContent = text;
  where.dataset.tone = tone;
}

async function attempt(where, work) {
  notice(where);
  try { return await work(); } catch (e) { notice(where, e.message, 'bad'); }
}

function copyButton(label, text) {
  const b = el('button', { type: 'button', className: 'small copy', textContent: t(label) });
  b.dataset.t = label;
  b.onclick = async () => {
    try { await navigator.clipboard.writeText(text()); } catch { return; }
    b.textContent = t('copied');
    setTimeout(() => { b.textContent = t(label); }, 1200);
  };
  return b;
}

const time = (at, options) => new Date(at).toLocaleTimeString(zh ? 'zh-CN' : 'en-GB', options);
const day = (at) => new Date(at).toLocaleDateString(zh ? 'zh-CN' : 'en-GB', { month: 'short', day: 'numeric', weekday: 'short' });
const short = (id) => (id.length > 14 && /[0-9A-Z]/.test(id) ? id.slice(0, 6) + '…' + id.slice(-4) : id); // not names of types

// ---- whom we look at ----

const known = { corp: '', servicers: {}, info: {}, conversations: new Map() }; // by key; the rest is /api/state
let clockOffset = 0; // the platform's clock minus ours, in ms
const chosen = () => ({ open_kfid: $('account').value, external_userid: $('customer').value });
const isChosen = (v) => v.open_kfid === $('account').value && v.external_userid === $('customer').value;

async function loadState() {
  const s = await call('/api/state').catch(() => null);
  if (!s) return;
  Object.assign(known, s);
  clockOffset = Date.parse(s.now) - Date.now();
  const hours = Math.round(s.offset_ms / 360000) / 10;
  $('offset').hidden = hours === 0;
  $('offset').textContent = (hours > 0 ? '+' : '') + hours + ' h';
  options($('account'), s.accounts.map((a) => [a.open_kfid, a.name]));
  options($('customer'), s.customers.map((c) => [c.external_userid, c.nickname]));
  tick();
  showInfo();
  loadPhone();
}

function options(select, list) {
  const before = select.value;
  select.replaceChildren(...list.map(([id, name]) => el('option', { value: id, textContent: name ? `${name} (${short(id)})` : id })));
  if (list.some(([id]) => id === before)) select.value = before;
}

// ---- left: the phone ----

let phone = { messages: [], platform: null };
let phoneLoad = null; // a load under way; 'again' once more after it

async function loadPhone() {
  if (phoneLoad) { phoneLoad = 'again'; return; }
  do {
    phoneLoad = 'once';
    const who = chosen();
    const p = who.open_kfid && who.external_userid ? await call('/api/phone?' + new URLSearchParams(who)).catch(() => null) : null;
    if (isChosen(who)) phone = p ?? { messages: [], platform: null };
  } while (phoneLoad === 'again');
  phoneLoad = null;
  showPhone();
  showConversation();
}

function showPhone() {
  const list = $('messages');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.querySelector('.none')?.remove();
  phone.messages.forEach((m, i) => { // only what changed is drawn again, so that a reader hears only that
    const key = JSON.stringify([chosen(), m]);
    const old = list.children[i];
    if (old?.dataset.key === key) return;
    const node = messageNode(m);
    node.dataset.key = key;
    if (i === 0 || day(phone.messages[i - 1].time) !== day(m.time)) node.dataset.day = day(m.time);
    if (old) old.replaceWith(node); else list.append(node);
  });
  while (list.children.length > phone.messages.length) list.lastChild.remove();
  if (phone.messages.length === 0) list.append(el('li', { className: 'none', textContent: t('noMessages') }));
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function messageNode(m) {
  if (m.from === 'system') return el('li', { className: 'aside', textContent: t(m.notice) });
  const li = el('li', { className: 'message' });
  li.dataset.from = m.from;
  const meta = el('p', { className: 'meta' }, el('time', { dateTime: m.time, textContent: time(m.time, { hour: '2-digit', minute: '2-digit' }) }));
  if (m.servicer_userid) meta.prepend(`${t('servicer')} ${m.servicer_userid} · `);
  if (m.fail_type !== undefined) meta.append(el('strong', { textContent: ` ${t('undelivered')} · fail_type ${m.fail_type}` }));
  if (m.from === 'customer' && !m.recalled) {
    const b = el('button', { type: 'button', className: 'inline', textContent: t('recall') });
    b.onclick = () => act({ act: 'recall', msgid: m.msgid }, $('say-notice'));
    meta.append(' ', b);
  }
  li.append(m.recalled ? el('div', { className: 'bubble gone', textContent: t('recalled') }) : bubble(m), meta);
  return li;
}

function bubble(m) {
  const b = m.body ?? {};
  if (m.msgtype === 'text') return el('div', { className: 'bubble', textContent: b.content });
  const div = el('div', { className: 'bubble' });
  if (m.msgtype === 'msgmenu') {
    if (b.head_content) div.append(el('p', { textContent: b.head_content }));
    for (const item of b.list ?? []) div.append(menuItem(m, item));
    if (b.tail_content) div.append(el('p', { textContent: b.tail_content }));
    return div;
  }
  div.append(el('p', { className: 'type', textContent: m.msgtype }));
  const lines = Object.entries(b).filter(([, v]) => typeof v !== 'object' && v !== '');
  for (const [name, value] of lines) div.append(el('p', { className: 'field' }, el('span', { textContent: name }), ' ' + value));
  return div;
}

function menuItem(m, item) {
  const body = item[item.type] ?? {};
  if (item.type !== 'click') return el('p', { textContent: body.content, title: body.url ?? body.pagepath ?? '' });
  const b = el('button', { type: 'button', className: 'menu', textContent: body.content });
  b.onclick = () => act({ act: 'tap', msgid: m.msgid, id: body.id ?? '', content: body.content }, $('say-notice'));
  return b;
}

const act = (what, where) => attempt(where, () => call('/api/act', { ...chosen(), ...what }));

// ---- middle: the steps ----

const maxRows = 600;
const flows = new Map();    // flow → when it began, and whether a step of it is in sight
const outcomes = new Map(); // command id → step
let lastLoud = null;
let follow = true; // the newest step stays in sight

function addStep(s) {
  const li = el('li', { className: 'step' });
  Object.assign(li.dataset, { kind: s.kind, flow: s.flow ?? 0, tone: s.tone ?? '' });
  li.classList.toggle('quiet', !!s.quiet);
  const previous = s.quiet ? $('list').lastChild : lastLoud;
  li.classList.toggle('joined', !!s.flow && previous?.dataset.flow === li.dataset.flow);
  li.style.setProperty('--hue', ((s.flow ?? 0) * 137.5) % 360);

  const flow = flows.get(s.flow) ?? { start: Date.parse(s.at), seen: false };
  const when = flow.seen ? elapsed(Date.parse(s.at) - flow.start) : time(s.at); // the first that is seen says the hour
  if (s.flow) flows.set(s.flow, { ...flow, seen: flow.seen || !s.quiet });

  const kind = el('span', { className: 'kind', textContent: t('kind.' + s.kind) });
  kind.dataset.t = 'kind.' + s.kind;
  const row = el('button', { type: 'button', className: 'row', ariaExpanded: 'false', title: time(s.at, { timeStyle: 'medium' }) },
    el('span', { className: 'when', textContent: when }), kind,
    el('span', { className: 'where', textContent: s.where.startsWith('kf.') ? s.where.split('.').map(short).join('.') : s.where }),
    el('span', { className: 'summary', textContent: s.summary }));
  row.onclick = () => expand(li, row, s);
  row.onmouseenter = row.onfocus = () => mark(li.dataset.flow);
  row.onmouseleave = row.onblur = () => mark('0');
  li.append(row);
  $('list').append(li);
  if (!s.quiet) lastLoud = li;
  if ($('list').children.length > maxRows) $('list').firstChild.remove();
  if (flows.size > maxRows) flows.delete(flows.keys().next().value);
  if (document.body.dataset.view !== 'steps' && !s.quiet) document.querySelector('[data-view-button=steps]').dataset.new = '';
  if (s.kind === 'outcome') {
    outcomes.set(s.command_id, s);
    showOutcome();
  }
  settle();
}

const elapsed = (ms) => (ms < 1000 ? `+${ms} ms` : ms < 60000 ? `+${(ms / 1000).toFixed(1)} s` : `+${Math.round(ms / 60000)} min`);

let settling = false;
function settle() { // once for all steps of a frame
  if (settling) return;
  settling = true;
  requestAnimationFrame(() => {
    settling = false;
    $('empty').hidden = !!$('list').querySelector($('quiet').checked ? 'li' : 'li:not(.quiet)');
    if (follow) $('scroll').scrollTop = $('scroll').scrollHeight;
  });
}

function mark(flow) {
  for (const li of $('list').querySelectorAll('.same')) li.classList.remove('same');
  if (flow !== '0') for (const li of $('list').querySelectorAll(`[data-flow="${flow}"]`)) li.classList.add('same');
}

function expand(li, row, s) {
  const open = li.querySelector('.detail');
  row.ariaExpanded = String(!open);
  if (open) { open.remove(); return; }
  const facts = el('dl', {});
  const fact = (name, value) => facts.append(el('dt', { textContent: name }), el('dd', { textContent: value }));
  if (s.trace) fact('trace', s.trace);
  for (const [name, value] of Object.entries(s.header ?? {}).sort()) fact(name, value);
  li.append(el('div', { className: 'detail' },
    el('div', { className: 'row-of' }, el('code', { className: 'subject', textContent: s.where }),
      copyButton(s.where.startsWith('kf.') ? 'copySubject' : 'copyPath', () => s.where)),
    facts.children.length ? facts : '',
    el('div', { className: 'json' }, copyButton('copyBody', () => s.body), coloured(s.body), s.cut ? el('p', { textContent: t('cut') }) : '')));
  li.querySelector('.detail').scrollIntoView({ block: 'nearest' });
}

function coloured(json) { // names, texts and other values told apart
  const pre = el('pre', { tabIndex: 0 });
  let end = 0;
  for (const m of json.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d[\d.eE+-]*/g)) {
    pre.append(json.slice(end, m.index), el('span', { className: m[2] ? 'name' : m[1] ? 'text' : 'value', textContent: m[1] ?? m[0] }), m[2] ?? '');
    end = m.index + m[0].length;
  }
  pre.append(json.slice(end));
  return pre;
}

function clearSteps() {
  $('list').replaceChildren();
  flows.clear();
  lastLoud = null;
  settle();
}

// ---- right: the conversation ----

const current = () => [...known.conversations.values()].find((v) => v && isChosen(v));

function showConversation() {
  const v = current();
  [...$('pips').children].forEach((pip, i) => pip.classList.toggle('on', !!v && i < v.sends_left));
  $('sends-text').textContent = v ? t('ofFive', v.sends_left) : '–';
  $('pips').ariaLabel = $('sends-text').textContent;
  $('session').textContent = v ? t('state' + v.session_state) + (v.servicer_userid ? ` (${v.servicer_userid})` : '') : '–';
  $('generation').textContent = v ? v.generation : '–';
  const state = phone.platform?.state;
  $('hand-over').disabled = state !== 0 && state !== 1;
  $('pick-up').disabled = state !== 2 || !servicer();
  $('end').disabled = state !== 3;
  tick();
}

const servicer = () => phone.platform?.servicer_userid || known.servicers[$('account').value]?.[0];

function tick() {
  const now = Date.now() + clockOffset;
  $('day').textContent = day(now);
  $('clock').textContent = time(now);
  const ends = Date.parse(current()?.window_ends_at);
  const left = Math.max(0, Math.floor((ends - now) / 1000));
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  $('left').textContent = Number.isNaN(ends) ? '–' : left === 0 ? t('closed') : `${two(left / 3600)}:${two(left / 60 % 60)}:${two(left % 60)}`;
  $('left').dataset.tone = left === 0 ? 'bad' : left < 3600 ? 'warn' : '';
  $('ends').textContent = Number.isNaN(ends) ? t('never') : t(left ? 'closes' : 'closedAt', day(ends) + ' ' + time(ends));
  $('window').value = left || 0;
  $('pips').classList.toggle('shut', left === 0);
}

let asked = null; // the command whose outcome is awaited
function showOutcome() {
  const s = outcomes.get(asked);
  if (s) notice($('answer-notice'), s.summary, s.tone);
  if (outcomes.size > 200) outcomes.delete(outcomes.keys().next().value);
}

function showInfo() {
  const ids = { corp: known.corp, ...chosen() };
  const line = (title, text) => {
    const code = el('code', { textContent: text });
    return el('li', {}, el('p', { textContent: title }), el('div', { className: 'row-of' }, code, copyButton('copy', () => text)));
  };
  const commands = known.info.commands ?? [];
  $('commands').replaceChildren(...commands.map((c) => line(zh ? c.zh : c.en, c.text.replace(/\{(\w+)\}/g, (all, name) => ids[name] ?? all))));
  $('terminal').hidden = commands.length === 0;
  const urls = [['NATS', known.info.nats_url], [t('platform'), known.info.platform_url], [t('control'), known.info.control_url]].filter(([, url]) => url);
  $('urls').replaceChildren(...urls.map(([title, url]) => line(title, url)));
  $('places').hidden = urls.length === 0;
}

// ---- the feed ----

function connect() {
  const source = new EventSource('/api/feed');
  const link = (state) => {
    $('link').dataset.state = state;
    $('link-text').dataset.t = state;
    $('link-text').textContent = t(state);
  };
  const on = (name, f) => source.addEventListener(name, (e) => f(JSON.parse(e.data)));
  source.onopen = () => link('live');
  source.onerror = () => {
    link('lost');
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000); // the browser has given up
  };
  on('hello', (h) => {
    if (!h.resumed) {
      clearSteps();
      known.conversations.clear();
    }
    loadState();
  });
  on('step', addStep);
  on('phone', (p) => { if (isChosen(p) || p.open_kfid === '') loadPhone(); });
  on('conversation', (c) => {
    known.conversations.set(c.key, c.value);
    if (!c.value || isChosen(c.value)) loadPhone(); // the platform's state may have changed, too
  });
  on('clock', loadState);
}

// ---- what people do ----

function writes(form, field, send) {
  let shift = false;
  field.onkeydown = (e) => { shift = e.shiftKey; };
  field.onbeforeinput = (e) => { // not keydown: Enter also ends a word of an input method, which is no new line
    if (e.inputType !== 'insertLineBreak' || shift) return;
    e.preventDefault();
    form.requestSubmit();
  };
  form.onsubmit = async (e) => {
    e.preventDefault();
    const text = field.value;
    if (!text.trim()) return;
    field.value = '';
    field.focus();
    if (!await send(text) && !field.value) field.value = text; // nothing typed is lost
  };
}

writes($('say'), $('say-text'), (text) => attempt($('say-notice'), () => call('/api/say', { ...chosen(), text })));
writes($('answer'), $('answer-text'), async (text) => {
  const c = await attempt($('answer-notice'), () => call('/api/answer', { ...chosen(), text }));
  if (!c) return false;
  asked = c.command_id;
  notice($('answer-notice'), t('waiting'));
  showOutcome();
  return true;
});

$('enter').onclick = () => act({ act: 'enter' }, $('say-notice'));
for (const b of document.querySelectorAll('[data-act]')) b.onclick = () => act({ act: b.dataset.act, servicer_userid: servicer() }, $('act-notice'));
for (const b of document.querySelectorAll('[data-advance]')) b.onclick = () => act({ act: 'clock', advance: b.dataset.advance }, $('act-notice'));

$('customer').onchange = $('account').onchange = () => {
  for (const id of ['say-notice', 'answer-notice', 'act-notice']) notice($(id));
  phone = { messages: [], platform: null };
  showInfo();
  loadPhone();
};
$('clear').onclick = clearSteps;
$('quiet').onchange = () => {
  $('list').classList.toggle('with-quiet', $('quiet').checked);
  settle();
};
$('scroll').onscroll = () => {
  const s = $('scroll');
  follow = s.scrollHeight - s.scrollTop - s.clientHeight < 40;
  $('jump').hidden = follow;
};
$('jump').onclick = () => { $('scroll').scrollTop = $('scroll').scrollHeight; };
$('lang').onclick = () => {
  zh = !zh;
  stored('lang', zh ? 'zh' : 'en');
  speak();
};

const themes = ['auto', 'light', 'dark'];
let theme = themes.includes(stored('theme')) ? stored('theme') : 'auto';
function showTheme() {
  document.documentElement.dataset.theme = theme;
  $('theme').textContent = t(theme);
  $('theme').ariaLabel = t('theme') + ': ' + t(theme);
}
$('theme').onclick = () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  stored('theme', theme);
  showTheme();
};

function show(view) {
  document.body.dataset.view = view;
  for (const b of document.querySelectorAll('[data-view-button]')) {
    b.ariaPressed = String(b.dataset.viewButton === view);
    if (b.dataset.viewButton === view) delete b.dataset.new;
  }
  settle();
}
for (const b of document.querySelectorAll('[data-view-button]')) b.onclick = () => show(b.dataset.viewButton);

document.onkeydown = (e) => {
  const typing = /^(TEXTAREA|SELECT|INPUT)$/.test(e.target.tagName);
  if (e.key === '/' && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
    e.preventDefault();
    show('phone');
    $('say-text').focus();
  }
  if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && e.target.className === 'row') {
    const rows = [...$('list').querySelectorAll('.row')].filter((r) => r.offsetParent);
    rows[rows.indexOf(e.target) + (e.key === 'ArrowDown' ? 1 : -1)]?.focus();
    e.preventDefault();
  }
};

speak();
show('phone');
connect();
setInterval(tick, 1000);
