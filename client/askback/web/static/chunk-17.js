import{E as t}from"./chunk-2.js?v=9d4ecccdb6c9e098";function s(i,r){let e=t(i).replace(/\s+/g," ").trim(),n=Array.from(e);return n.length<=r?e:`${n.slice(0,r-1).join("")}…`}export{s as a};
