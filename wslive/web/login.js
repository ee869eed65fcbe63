// Where people are known by a login at a hub: the page shows it to the server and gets a ticket; its WebSocket shows
// the ticket alone.

/** Whether the server that sent this page knows people by a login. */
export const isByLogin = "login" in document.documentElement.dataset;

/** Ended by a login that has ended: these codes a new login cures. */
export const LOGIN_ENDED = new Set([4509, "login_needed"]);

/** What shows that a page of this server asks, and not another page of the hub. */
const headers = () => ({ "X-XSRFToken": document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "" });

/** `fetch` of something of this server's own. */
export const fetchOwn = (url, options = {}) => fetch(url, isByLogin ? { ...options, headers: { ...options.headers, ...headers() } } : options);

/** For `connect`: gets tickets by the login; nothing where there is none. */
export function tickets(base, room, role) {
  if (!isByLogin) return {};
  const getTicket = async () => {
    const url = new URL(`r/${encodeURIComponent(room)}/ticket?role=${role}`, base);
    const response = await fetchOwn(url, { method: "POST" });
    const answer = await response.json();
    if (response.ok) return answer.ticket;
    // 5xx: the hub or the store is away for a moment. All else is an answer.
    throw { code: answer.code, message: answer.message, isFinal: response.status < 500 && answer.code !== "too_fast" };
  };
  return { getTicket };
}

/** A way to log in again, and to come back here. */
export function loginLink() {
  const link = document.createElement("a");
  link.className = "wslive-button wslive-primary wslive-login";
  link.href = location.href;
  link.textContent = "Log in again";
  link.hidden = true;
  return link;
}
