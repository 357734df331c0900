// What the page does beyond showing itself: a button to copy each example, and the address that it
// was loaded from in the first one. Without scripts it reads the same.
const told = document.querySelector('.told');
const setup = document.getElementById('setup');
setup.textContent = setup.textContent.replace('http://localhost:3000', location.origin);
for (const block of document.querySelectorAll('.code')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    const text = block.querySelector('pre').textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = told.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(block.querySelector('pre'));
      button.textContent = told.textContent = 'Selected: press Ctrl C';
    }
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });
  block.append(button);
}
