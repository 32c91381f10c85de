// What a page shows to a reader without a token: the client's script asks for one and fetches the page again with it.

export function SignIn() {
  return (
    <div id="app" data-sign-in="">
      <h1>Sign in</h1>
      <noscript>
        <p>This page needs JavaScript to send your token.</p>
      </noscript>
    </div>
  );
}
