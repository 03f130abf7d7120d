// Plays moments from their starts to their ends, keeps the time lines, and the address of a search.
(() => {
  'use strict';

  const PLAYS = 'button[data-start]';
  const BAR = '.timeline button';
  const NEAR = 0.05; // seconds
  const isCalm = window.matchMedia('(prefers-reduced-motion: reduce)');

  const cardOf = (element) => element.closest('.card');
  const start = (element) => Number(element.dataset.start);
  const end = (element) => Number(element.dataset.end);

  function onVideos(event, act) {
    const listen = ({target}) => {
      if (target instanceof HTMLVideoElement && cardOf(target)) act(target, cardOf(target));
    };
    document.addEventListener(event, listen, true); // these events do not bubble
  }

  function setTime(card, name, seconds) {
    card.querySelector('.timeline').style.setProperty(name, seconds.toFixed(3));
  }

  function play(button) {
    const card = cardOf(button);
    const video = card.querySelector('video');
    for (const each of card.querySelectorAll(PLAYS)) {
      const isChosen = start(each) === start(button) && end(each) === end(button);
      each.setAttribute('aria-current', String(isChosen));
    }
    Object.assign(video.dataset, {start: button.dataset.start, end: button.dataset.end});
    if (video.getAttribute('src') === button.dataset.src) video.currentTime = start(button);
    else video.src = button.dataset.src;
    card.querySelector('.gone').hidden = true;
    video.play().catch(() => {}); // a later click may come first; the event `error` tells the rest
  }

  document.addEventListener('click', ({target}) => {
    const button = target instanceof Element && target.closest(PLAYS);
    if (button) play(button);
  });

  document.addEventListener('keydown', (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const bar = event.target instanceof Element && event.target.closest(BAR);
    if (!bar || !step) return;
    const bars = [...bar.parentElement.children];
    const next = bars[bars.indexOf(bar) + step];
    if (!next) return;
    event.preventDefault();
    bar.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  onVideos('loadedmetadata', (video, card) => {
    if (isCalm.matches && video.autoplay) {
      video.autoplay = false;
      video.pause();
    }
    if (Number.isFinite(video.duration)) setTime(card, '--seconds', video.duration);
    if (Math.abs(video.currentTime - start(video)) > NEAR) video.currentTime = start(video);
  });

  function showTime(video, card) {
    setTime(card, '--now', video.currentTime);
    if (end(video) > start(video) && video.currentTime >= end(video)) {
      video.dataset.end = 0; // once: who plays on sees what follows
      video.pause();
    }
  }
  onVideos('timeupdate', showTime);

  // Those events come four times a second, and a moment ends between them.
  const followed = new WeakSet();
  function follow(video, card) {
    if (followed.has(video)) return;
    followed.add(video);
    const step = () => {
      showTime(video, card);
      if (video.paused || !video.isConnected) followed.delete(video);
      else window.requestAnimationFrame(step);
    };
    step();
  }
  onVideos('playing', follow);

  onVideos('error', (video, card) => {
    card.querySelector('.gone').hidden = false;
  });

  window.addEventListener('popstate', () => window.location.reload());

  const least = (value) => Math.min(Math.max(Number(value) || 0, 0), 1);
  window.searchPage = {
    // A sentence and a confidence; a page without a control of the latter takes the first alone.
    asked() {
      const address = new URLSearchParams(window.location.search);
      return [address.get('q') ?? '', least(address.get('confidence'))];
    },
    remember(sentence, confidence) {
      const [asked, wanted] = this.asked();
      if (sentence === asked && (!sentence || least(confidence) === wanted)) return;
      const values = least(confidence) ? {q: sentence, confidence} : {q: sentence};
      const query = sentence ? `?${new URLSearchParams(values)}` : '';
      window.history.pushState(null, '', window.location.pathname + query);
    },
  };
})();
