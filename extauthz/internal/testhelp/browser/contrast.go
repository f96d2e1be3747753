package browser

// contrast is a function of JavaScript: from a CSS selector to the smallest contrast of its elements.
const contrast = `(selector) => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return {r, g, b, a};
  };
  const luminance = ({r, g, b}) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  let least = 0;
  for (const element of document.querySelectorAll(selector)) {
    const style = getComputedStyle(element);
    const ink = luminance(parse(element instanceof SVGElement ? style.fill : style.color));
    let behind = element, color = {a: 0};
    while (behind && color.a < 1) {
      color = parse(getComputedStyle(behind).backgroundColor);
      behind = behind.parentElement;
    }
    const paper = luminance(color.a < 1 ? {r: 255, g: 255, b: 255} : color);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    least = least === 0 ? ratio : Math.min(least, ratio);
  }
  return least;
}`
