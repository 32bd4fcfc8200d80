// What is wrong with a page that is open, a line each. Run in it by test_report_pages.py.
((room, leastContrast) => {
  const words = (one) => one.textContent.trim();
  const own = (one) => [...one.childNodes].filter((node) => node.nodeType === 3).map(words).join("");
  const all = (selector) => [...document.querySelectorAll(selector)].filter((one) => !one.closest(".unseen"));

  const parts = (colour) => {
    const numbers = colour.match(/[0-9.]+/g).map(Number);
    return numbers.length > 3 ? numbers : [...numbers, 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (one) => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.push(parts(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one) => {
    const ground = behind(one), ink = over(parts(getComputedStyle(one).color), ground);
    const [low, high] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  // Letters that stand below one another: the column is narrower than a word.
  const torn = (one) => {
    const text = document.createRange();
    text.selectNodeContents(one);
    const lines = text.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight);
    return words(one) && !one.closest(".turned") && lines > words(one).length / 3 + 2;
  };
  const named = (table) => table.caption && words(table.caption) && [...table.querySelectorAll("th")].every((head) => head.scope);

  const found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > room) found.push(`width: ${wide} pixels, there are ${room}`);
  for (const one of all("body *").filter((one) => own(one) && contrast(one) < leastContrast))
    found.push(`contrast: ${contrast(one).toFixed(2)} of ${one.tagName}.${one.className} ${own(one).slice(0, 30)}`);
  for (const one of all("td, th").filter(torn)) found.push(`torn: ${words(one).slice(0, 40)}`);
  for (const one of all("table").filter((table) => !named(table))) found.push(`table: ${one.outerHTML.slice(0, 90)}`);
  for (const one of all("img").filter((image) => !image.alt)) found.push(`alt: ${one.outerHTML.slice(0, 60)}`);
  return found;
})
